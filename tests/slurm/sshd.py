"""A real SSH server on localhost for one test (paramiko): shell commands and SFTP, one password."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import paramiko

USER, PASSWORD = "materials", "scientist"


class Login(paramiko.ServerInterface):
    """One user; each `exec` request runs in a shell and sends back output, error and exit status."""

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.execute, args=(channel, command), daemon=True).start()
        return True

    @staticmethod
    def execute(channel, command):
        done = subprocess.run(command, shell=True, capture_output=True, check=False)
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


class Files(paramiko.SFTPServerInterface):
    """The local file system over SFTP, as far as it is needed."""

    def _try(self, action, *arguments):
        try:
            action(*arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def list_folder(self, path):
        try:
            return [paramiko.SFTPAttributes.from_stat(file.stat(), file.name) for file in Path(path).iterdir()]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def mkdir(self, path, attr):
        return self._try(os.mkdir, path)

    def rmdir(self, path):
        return self._try(os.rmdir, path)

    def open(self, path, flags, attr):
        try:
            file = os.fdopen(os.open(path, flags, 0o600), "wb" if flags & os.O_WRONLY else "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file
        return handle


class Server:
    """Listens until it is closed; `logins` counts what got in."""

    def __init__(self) -> None:
        self.key = paramiko.RSAKey.generate(2048)
        self.logins = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
            transport.start_server(server=Login())
            self.logins += 1

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
