"""What the report calls things: a study of samples and one of predictions have words of their own."""

from dataclasses import dataclass

from ..study.records import Study


@dataclass(frozen=True)
class Wording:
    """The words of one goal."""

    sections: tuple[str, ...]  # of the page, in order
    score: str  # what is scored, with the name of the score
    noise: str  # how large the noise of the score is
    band: str  # what the shaded band of the charts is
    use: str  # what is done to a row when the model is used
    limits: str


GENERATE = Wording(
    sections=("answer", "ranking", "evidence", "why", "samples", "budget", "health", "data", "method"),
    score="MMD² against real rows",
    noise="Noise of the score on real rows: {noise}.",
    band="fresh real rows ± one standard deviation",
    use="sampled",
    limits="It measures how much samples resemble the data as a whole; it says nothing about privacy.",
)
CLASSIFY = Wording(
    sections=("answer", "signal", "ranking", "evidence", "why", "predictions", "budget", "health", "data", "method"),
    score="{name} of predictions for rows that nothing was trained on",
    noise="As many other judging rows would change a score by about {noise} (one standard error).",
    band="the best simple baseline ± one standard error over judging rows",
    use="predicted",
    limits="Probabilities hold for rows that come as these did, with classes as frequent as here.",
)


def wording(study: Study) -> Wording:
    """The words of a study's goal."""
    return CLASSIFY if study.goal == "classify" else GENERATE


def score_name(study: Study) -> str:
    """The name of the score as an axis bears it."""
    return study.score_name.replace("^2", "²")
