"""What to say beside the interval of a cell some of whose runs collapsed to chance."""

ROUGHLY = "about half of the time"
"""How often a 95 % interval of 3 to 8 seeds holds the mean where a tenth of the seeds collapse."""


def collapse_warning(collapsed: int, seeds: int) -> str | None:
    """Return the warning for a cell above chance; None where no run collapsed."""
    if collapsed == 0:
        return None
    return (
        f"{collapsed} of {seeds} runs collapsed to chance: the interval of the mean, over seeds or "
        f"over images too, holds {ROUGHLY}, not 95 %; compare how many runs collapse"
    )
