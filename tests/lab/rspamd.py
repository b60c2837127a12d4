"""Rspamd as milter: what it calls spam is what the tests turned it against, and nothing else.

One rule of ours, in Rspamd's own Lua, looks the sender up in a file that is read for every message. So whatever is
accepted after `turn_against` has returned is judged by it: no waiting for a map to be noticed. None of the stock rules
is loaded; they would judge made-up mail on loopback by DNS, and compile for ten seconds first.

A second rule scores by volume where `VolumeMap.mind` asks it to: what a sender sent to a domain in the last day,
against what that domain is used to from it. It counts by itself, in Rspamd's own memory.
"""

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.lab.layout import LabFailed, Layout, until

RULES = """\
require "global_functions" ()
config["regexp"] = {}
rspamd_maps = {}

local util = require "rspamd_util"

local seen = {}

local function rules_of(domain)
  local file = io.open("@VOLUME@", "r")
  if not file then return nil end
  local found
  for line in file:lines() do
    local name, day, quiet, tolerance, memory = line:match("^(%S+) (%S+) (%S+) (%S+) (%S+)$")
    if name == domain then
      found = { day = tonumber(day), quiet = tonumber(quiet), tolerance = tonumber(tolerance),
                memory = tonumber(memory) }
    end
  end
  file:close()
  return found
end

-- How often the volume of the last day goes into what is tolerated, this message included.
local function excess(lane, rules, now)
  local state = seen[lane]
  if not state then
    state = { used_to = 0, today = 0, since = now, times = {} }
    seen[lane] = state
  end
  while now >= state.since + rules.day do
    state.used_to = state.used_to + (state.today - state.used_to) * (1 - 2 ^ (-1 / rules.memory))
    state.today, state.since = 0, state.since + rules.day
  end
  local kept = { now }
  for _, at in ipairs(state.times) do
    if at > now - rules.day then kept[#kept + 1] = at end
  end
  state.times, state.today = kept, state.today + 1
  return #kept / (rules.tolerance * math.max(state.used_to, rules.quiet))
end

rspamd_config:register_symbol({
  name = "VOLUME",
  score = 6.0,
  callback = function(task)
    local from = task:get_from("smtp")
    local to = (task:get_recipients("smtp") or {})[1]
    if not (from and from[1] and to) then return false end
    local rules = rules_of(from[1].domain:lower())
    if not rules then return false end
    local lane = from[1].addr:lower() .. ">" .. to.domain:lower()
    -- As much as is tolerated is no spam yet.
    return true, math.max(0, excess(lane, rules, util.get_time()) - 0.001), lane
  end,
})

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How a receiver minds volume: more than `ratio` · what it is used to (at least `quiet`) in a day is spam.

    `day_seconds` are real ones; what it is used to follows the days' volumes by half in `memory_days`.
    """

    day_seconds: float
    quiet: float
    ratio: float
    memory_days: float


class VolumeMap:
    """Of which sender domains Rspamd minds the volume; of nobody's at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def mind(self, tolerance: Tolerance, *domains: str) -> None:
        """From now on mail from `domains`, and from no others, is judged by volume."""
        figures = f"{tolerance.day_seconds} {tolerance.quiet} {tolerance.ratio} {tolerance.memory_days}"
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(f"{domain.lower()} {figures}\n" for domain in domains))
        draft.replace(self._path)


class Rspamd:
    """A running Rspamd; `ready` before use, `stop` at the end."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        folder = layout.root / "rspamd"
        folder.mkdir()
        self.spam = SpamMap(folder / "turned.map")
        self.log = folder / "rspamd.log"
        self.volume = VolumeMap(folder / "volume.map")
        names = {
            "@FOLDER@": str(folder),
            "@MAP@": str(folder / "turned.map"),
            "@VOLUME@": str(folder / "volume.map"),
            "@MILTER@": str(layout.milter_socket),
        }
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
