"""What ends a command without a traceback."""


class UserError(Exception):
    """A user's mistake. Its message is one line: what happened, to what value, what to do now."""


class Stopped(KeyboardInterrupt):
    """The user or the system asked the process to stop, and it has left a checkpoint."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number
