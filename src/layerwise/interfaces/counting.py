"""Numbers of things in sentences: "1 image has", "2 images have"."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write a number and the words that go with it.

    Parameters
    ----------
    number : int
        How many.
    one : str
        What is said of one: "layer", or "layer has".
    many : str, optional
        What is said of several; default: the same with an s.
    """
    return f"{number:,} {agreeing(number, one, f'{one}s' if many is None else many)}"


def agreeing(number: int, one: str, many: str) -> str:
    """Return the word that goes with a number: "has" or "have"."""
    return one if number == 1 else many
