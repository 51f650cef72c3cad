"""Drives a sandbox on a pseudo-terminal as a user at a keyboard does. Called by terminal.rs with the command to run and a case."""
import fcntl, os, pty, select, struct, sys, termios, time

ROWS, COLUMNS = 33, 77


class Keyboard:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.screen = b""
        self.resize(ROWS, COLUMNS)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def attributes(self):
        return termios.tcgetattr(self.fd)

    def read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.screen += os.read(self.fd, 4096)
            except OSError:  # everybody has closed the other side
                time.sleep(0.05)

    def wait_for(self, text):
        """Until `text` is on the screen; what was there before it is forgotten."""
        deadline = time.time() + 30
        while text not in self.screen:
            assert time.time() < deadline, f"waited for {text!r}, have {self.screen!r}"
            self.read()
        self.screen = self.screen.split(text, 1)[1]

    def type(self, keys):
        os.write(self.fd, keys)

    def status(self):
        deadline = time.time() + 30
        while time.time() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            self.read()
        raise AssertionError(f"it does not end; the screen: {self.screen!r}")


def window_size(run):
    keyboard = Keyboard(run + ["sh", "-c", "trap 'stty size; exit 3' WINCH; sleep 0.2; stty size; echo up; while :; do sleep 0.1; done"])
    keyboard.wait_for(b"33 77")
    keyboard.wait_for(b"up")
    keyboard.resize(20, 50)
    keyboard.wait_for(b"20 50")
    assert keyboard.status() == 3


def interrupt(run):
    for key, status in [(b"\x03", 130), (b"\x1c", 131)]:
        keyboard = Keyboard(run + ["sh", "-c", "echo up; exec sleep 100"])
        keyboard.wait_for(b"up")
        time.sleep(0.2)
        keyboard.type(key)
        assert keyboard.status() == status


def raw_mode(run):
    program = "import os, tty; tty.setraw(0); print('up', flush=True); print(os.read(0, 1) + os.read(0, 1), flush=True); os._exit(4)"
    keyboard = Keyboard(run + ["python3", "-c", program])
    before = keyboard.attributes()
    keyboard.wait_for(b"up")
    assert keyboard.attributes() != before, "the program's raw mode does not reach the terminal"
    keyboard.type(b"\x03")
    keyboard.type(b"x")
    keyboard.wait_for(b"b'\\x03x'")
    deadline = time.time() + 10
    while keyboard.attributes() != before:
        assert time.time() < deadline, "the terminal was not given back as it was"
        keyboard.read()
    assert keyboard.status() == 4


def job_control(run):
    keyboard = Keyboard(run + ["bash", "--norc", "-i"])
    keyboard.wait_for(b"# " if os.getuid() == 0 else b"$ ")
    keyboard.type(b"sleep 50; echo up$((1+1))\n")
    time.sleep(1)
    keyboard.type(b"\x1a")
    keyboard.wait_for(b"Stopped")
    keyboard.type(b"kill %1; exit 6\n")
    assert keyboard.status() == 6


def stop(run):
    keyboard = Keyboard(["bash", "--norc", "-i"])
    keyboard.type(" ".join(run).encode() + b" sh -c 'echo u\"\"p; sleep 2; echo do\"\"ne; exit 4'\n")
    keyboard.wait_for(b"up\r\n")
    keyboard.type(b"\x1a")
    keyboard.wait_for(b"Stopped")
    keyboard.type(b"fg\n")
    keyboard.wait_for(b"done")
    keyboard.type(b"echo rc$?; exit\n")
    keyboard.wait_for(b"rc4\r\n")
    keyboard.status()


def end_of_file(run):
    keyboard = Keyboard(run + ["cat"])
    keyboard.type(b"abc\n")
    keyboard.wait_for(b"abc\r\nabc\r\n")
    keyboard.type(b"\x04")
    assert keyboard.status() == 0


globals()[sys.argv[1]](sys.argv[2:])
