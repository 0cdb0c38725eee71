"""Runs a command in a terminal of its own. Commands come as JSON lines: {"keys": text}, {"size": [columns, rows]} or
{"signal": number}. What the terminal is sent goes to standard output. At the end a line on standard error says the exit
code, and whether the terminal takes lines again as it did before."""
import fcntl, json, os, pty, select, struct, sys, termios

columns, rows, *command = sys.argv[1:]
master, slave = pty.openpty()


def resize(columns, rows):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(int(columns), int(rows))
before = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    os.execvp(command[0], command)

waiting = b""
code = None
while True:
    readable, _, _ = select.select([master] if code is not None else [master, 0], [], [], 0.05)
    if master in readable:
        os.write(1, os.read(master, 65536))
    elif code is not None:
        break
    if 0 in readable:
        got = os.read(0, 65536)
        if not got:
            os.kill(child, 9)
        waiting += got
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            what = json.loads(line)
            if "keys" in what:
                os.write(master, what["keys"].encode())
            elif "size" in what:
                resize(*what["size"])
            else:
                os.kill(child, what["signal"])
    if code is None:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid != 0:
            code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "restored": termios.tcgetattr(slave)[3] == before[3]}), file=sys.stderr)
