"""Why training ends before its time."""


class DivergedError(ValueError):
    """The loss or the network is no longer finite; the message is the sentence for the user."""
