#!/usr/bin/env bash
# Installs what the mail lab needs from Debian, without starting a single service; says aloud what is missing
# where it may not. A quick no-op when everything is there.
set -euo pipefail

needed=(postfix dovecot-imapd dovecot-lmtpd dovecot-sieve rspamd prometheus strace libfaketime systemd postgresql)
missing=()
for package in "${needed[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "mail lab: no apt-get here, so the tests marked lab will not run (they want: ${missing[*]})" >&2
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "mail lab: not root, so the tests marked lab will not run; missing: ${missing[*]}" >&2
    echo "mail lab: sudo bash tests/lab/packages.sh installs them" >&2
    exit 0
fi

# Nothing that Debian installs here may start by itself: the tests bring up their own servers, on loopback.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
    kept=$(mktemp)
    cp -p "$policy" "$kept"
fi
restore() {
    if [ -n "$kept" ]; then
        cp -p "$kept" "$policy"
        rm -f "$kept"
    else
        rm -f "$policy"
    fi
}
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"

echo "mail lab: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
