"""Why training ends before its time."""


class DivergedError(ValueError):
    """The loss or the network is no longer finite; the message is the sentence for the user.

    Parameters
    ----------
    what : str
        What is not finite, and where.
    advice : str
        How the sentence goes on.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what + advice)
        self.what = what
