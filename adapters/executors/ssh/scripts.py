"""What runs on the far side of `ssh_executor`: POSIX sh, and head, tail, wc, mkdir, cat, cut, rm.

A command outlives the connection that began it, so all about it lies in a folder of its own, which
only its user can read: ``group`` (the process group, and since when its leader lives), ``out``,
``err``, and in the end ``code``. What is asked of it goes over channels of their own.

`START` and `FOLLOW` send the output as it comes, and end with 0 once all was sent. Neither command
nor variables are among the arguments of any process: they come over standard input.
"""

import shlex
from collections.abc import Mapping
from typing import Final

FOLDER: Final = ".local/state/apflow/ssh"
"""Below the home of the user on the far side."""
MARK: Final = "apflow-begins"
"""The line on each stream after which ours begins: the user's shell may greet before it."""
ENDED: Final = "ended"
GONE: Final = "gone"
WHOLE: Final = "# whole"
"""The last line of what is sent: without it the connection broke off, and nothing is run."""

NO_GROUP: Final = 71
"""The server gives commands no process group of their own: they could not be ended."""
LOST: Final = 72
"""The command is gone and has left no exit code: it was killed, or the machine went down."""
TAKEN: Final = 73
"""Its folder cannot be made: it is there already, or the home cannot be written to."""
BROKEN_OFF: Final = 74
FLOODED: Final = 75

_COMMON: Final = """
d=$HOME/@FOLDER@/$1
born() { cut -d" " -f22 "/proc/$1/stat" 2>/dev/null; }
boot() { cat /proc/sys/kernel/random/boot_id 2>/dev/null; }
ours() {
  g=
  { read -r g && read -r b; read -r s; } 2>/dev/null <"$d/group"
  [ -n "$g" ] && [ "$b" = "$(boot)" ] || return 1
  n=$(born "$g"); [ -z "$n" ] || [ "$n" = "$s" ] || return 1
  kill -0 "-$g" 2>/dev/null
}
alive() {
  ours && kill -0 "$g" 2>/dev/null && [ "$(cut -d" " -f3 "/proc/$g/stat" 2>/dev/null)" != Z ]
}
"""

_SENDING: Final = """
limit=$2; flood=$3; o=${4:-0}; e=${5:-0}; deaf=; turns=0
send() {
  n=$(($(wc -c <"$d/$1")))
  [ $n -le $flood ] || exit @FLOODED@
  [ $n -le $limit ] || n=$limit
  [ $n -le $2 ] || tail -c +$(($2 + 1)) "$d/$1" 2>/dev/null | head -c $((n - $2)) || deaf=1
}
both() { send out $o; o=$n; send err $e >&2; e=$n; }
rest() {
  turns=$((turns + 1)); t=1; [ $turns -gt 20 ] || t=0.2
  { sleep $t || sleep 1; } >/dev/null 2>&1 & wait $!
}
"""

START: Final = """
umask 077
done=
trap "done=1" USR1
trap : PIPE HUP
kill -0 "-$$" 2>/dev/null || exit @NO_GROUP@
mkdir -p "${d%/*}" && mkdir "$d" 2>/dev/null || exit @TAKEN@
cat >"$d/script"
[ "$(tail -n 1 "$d/script")" = "@WHOLE@" ] || { rm -rf "$d"; exit @BROKEN_OFF@; }
: >"$d/out"; : >"$d/err"
{ echo $$; boot || echo; born $$ || echo; } >"$d/group"
{
  sh "$d/script" "$d" >"$d/out" 2>"$d/err" </dev/null
  echo $? >"$d/code.new"; mv "$d/code.new" "$d/code"
  kill -USR1 $$
} >/dev/null 2>&1 </dev/null &
job=$!
echo @MARK@; echo @MARK@ >&2
while :; do
  last=; kill -0 $job 2>/dev/null || last=1; [ ! -f "$d/code" ] || last=1
  [ -n "$deaf" ] || both
  if [ -n "$last" ]; then [ -f "$d/code" ] && exit 0; exit @LOST@; fi
  [ -n "$done" ] || rest
done
"""

FOLLOW: Final = """
echo @MARK@; echo @MARK@ >&2
[ -d "$d" ] || exit @LOST@
while :; do
  last=; alive || last=1; [ ! -f "$d/code" ] || last=1
  both
  if [ -n "$last" ]; then [ -f "$d/code" ] && exit 0; exit @LOST@; fi
  [ -z "$deaf" ] || exit 1
  rest
done
"""

LOOK: Final = """
echo @MARK@
if [ -f "$d/code" ]; then echo @ENDED@; exit; fi
if alive; then echo $g; exit; fi
! ours || kill -KILL "-$g"
rm -rf "$d"
echo @GONE@
"""
"""Says whether there is anything to follow; what is left of a command that was lost is ended."""

FINISH: Final = """
echo @MARK@
cat "$d/code" && rm -rf "$d"
"""

END: Final = """
umask 077
echo @MARK@
[ -n "$2" ] || { mkdir -p "${d%/*}" && mkdir "$d" 2>/dev/null && exit 0; }
still() {
  ours || return 1
  all=$(ps -A -o pgid= -o stat= 2>/dev/null || ps -o pgid,stat 2>/dev/null) || return 0
  [ -n "$(echo "$all" | while read -r p s; do
    case $p$s in "${g}Z"*) ;; "$g"[!0-9]*) echo "$p" ;; esac
  done)" ]
}
gone() {
  i=0
  while still; do
    [ $i -lt 20 ] || return 1
    sleep 0.1 2>/dev/null || sleep 1
    i=$((i + 1))
  done
}
if still; then
  kill -TERM "-$g"
  gone || { kill -KILL "-$g"; gone; }
fi
rm -rf "$d"
"""
"""Ends the whole group, and returns when it has ended. What is dead, but not yet collected by its
parent, does not count where there is a `ps` to tell. Unless it is said that the command has begun,
a folder that is not there is made, so that what is still on its way to `START` is not run.
"""


_NAMES: Final = (
    "NO_GROUP", "LOST", "TAKEN", "BROKEN_OFF", "FLOODED", "FOLDER", "MARK", "WHOLE", "ENDED",
    "GONE",
)  # fmt: skip


def line(script: str, *words: object) -> str:
    """A script as the command of a channel, for whatever shell the user has there."""
    text = _COMMON + (_SENDING if script in (START, FOLLOW) else "") + script
    for name in _NAMES:
        text = text.replace(f"@{name}@", str(globals()[name]))
    return f"exec sh -c {shlex.quote(text)} apflow {shlex.join(map(str, words))}"


def sent(command: str, variables: Mapping[str, str], stdin: str) -> bytes:
    """What `START` reads: a script whose own first act is to remove itself."""
    lines = ['rm -f "$1/script"']
    if stdin:
        lines += [f'printf %s {shlex.quote(stdin)} >"$1/stdin"', 'exec <"$1/stdin"']
        lines += ['rm -f "$1/stdin"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, "shift", command, WHOLE, ""]).encode("utf-8", "surrogatepass")
