"""Rspamd as milter: what it calls spam is what the tests turned it against, and nothing else.

One rule of ours, in Rspamd's own Lua, looks the sender up in a file that is read for every message. So whatever is
accepted after `turn_against` has returned is judged by it: no waiting for a map to be noticed. None of the stock rules
is loaded; they would judge made-up mail on loopback by DNS, and compile for ten seconds first.
"""

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

from tests.lab.layout import LabFailed, Layout, until

RULES = """\
require "global_functions" ()
config["regexp"] = {}
rspamd_maps = {}

local function turned()
  local against = {}
  local file = io.open("@MAP@", "r")
  if file then
    for line in file:lines() do against[line] = true end
    file:close()
  end
  return against
end

rspamd_config:register_symbol({
  name = "TURNED_AGAINST",
  score = 20.0,
  callback = function(task)
    local from = task:get_from("smtp")
    if not (from and from[1]) then return false end
    local against = turned()
    local address, domain = from[1].addr:lower(), from[1].domain:lower()
    local found = against[address] or against[domain]
    for _, to in ipairs(task:get_recipients("smtp") or {}) do
      local at = ">" .. to.domain:lower()
      found = found or against[address .. at] or against[domain .. at]
    end
    if found then return true, 1.0, address end
    return false
  end,
})
"""

CONF = """\
options {
  pidfile = "@FOLDER@/rspamd.pid";
  tempdir = "@FOLDER@";
  control_socket = "@FOLDER@/control.sock";
  filters = "";
  explicit_modules = [];
  dns {
    nameserver = "127.0.0.1:9:1";
    timeout = 0.05s;
    retransmits = 1;
  }
}
logging {
  type = "file";
  filename = "@FOLDER@/rspamd.log";
  level = "info";
  log_usec = true;
  log_format = "verdict mid=<$mid> qid=<$qid> from=<$smtp_from> action=<$action> scores=<$scores>";
}
lua = "@FOLDER@/rules.lua";
actions {
  add_header = 6;
  reject = 1000;
}
worker "normal" {
  enabled = false;
}
worker "rspamd_proxy" {
  bind_socket = "@MILTER@ mode=0666";
  milter = yes;
  timeout = 60s;
  count = 1;
  spam_header = "X-Spam";
  upstream "local" {
    default = yes;
    self_scan = yes;
  }
}
"""

# The milter protocol's option negotiation: length, 'O', version 6, all actions, all steps (milter's mfdef.h).
_NEGOTIATION = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)


class SpamMap:
    """Who Rspamd is turned against, steered while it runs. Keys are sender addresses or sender domains."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._against: set[str] = set()
        # A test may steer from a thread that watches the run.
        self._lock = threading.Lock()
        path.touch()

    def turn_against(self, sender: str, *, at: str | None = None) -> None:
        """From now on mail from `sender` (an address or a domain) is spam: everywhere, or at the domain `at` alone."""
        with self._lock:
            self._write(self._against | {_key(sender, at)})

    def relent(self, sender: str | None = None, *, at: str | None = None) -> None:
        """Take `sender` off the list, as it was put on; everybody where no one is named."""
        with self._lock:
            self._write(self._against - {_key(sender, at)} if sender else set())

    def _write(self, against: set[str]) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(f"{key}\n" for key in sorted(against)))
        draft.replace(self._path)
        self._against = against


class Rspamd:
    """A running Rspamd; `ready` before use, `stop` at the end."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        folder = layout.root / "rspamd"
        folder.mkdir()
        self.spam = SpamMap(folder / "turned.map")
        self.log = folder / "rspamd.log"
        names = {"@FOLDER@": str(folder), "@MAP@": str(folder / "turned.map"), "@MILTER@": str(layout.milter_socket)}
        for name, text in (("rules.lua", RULES), ("rspamd.conf", CONF)):
            for mark, value in names.items():
                text = text.replace(mark, value)
            (folder / name).write_text(text)
        shutil.chown(folder, "_rspamd", "_rspamd")
        command = ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(folder / "rspamd.conf")]
        with (layout.run / "rspamd.out").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def ready(self) -> None:
        """Wait until it negotiates as a milter does; raises LabFailed."""
        until(self._negotiates, seconds=60, what="Rspamd negotiates", log=self.log)

    def stop(self) -> None:
        """End it and wait for the end."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _negotiates(self) -> bool:
        if self._process.poll() is not None:
            raise LabFailed("Rspamd ended: " + (self._layout.run / "rspamd.out").read_text(errors="replace"))
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as milter:
            milter.settimeout(1)
            milter.connect(str(self._layout.milter_socket))
            milter.sendall(_NEGOTIATION)
            return milter.recv(5)[4:5] == b"O"
        return False


def _key(sender: str, at: str | None) -> str:
    return (f"{sender}>{at}" if at else sender).lower()
