"""What the report calls things: a study of samples and one of predictions have words of their own."""

from dataclasses import dataclass, replace

from ..study.records import Study
from .lookup import compared, outliers, searched, things


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
    score="MMD² against real {things}",
    noise="Noise of the score on real {things}: {noise}.",
    band="fresh real rows ± one standard deviation",
    use="sampled",
    limits="It measures how much samples resemble the data as a whole; it says nothing about privacy.",
)
CLASSIFY = Wording(
    sections=("answer", "signal", "ranking", "evidence", "why", "predictions", "budget", "health", "data", "method"),
    score="{name} of the predictions for {things} that nothing was trained on",
    noise="As many other judging {things} would change a score by about {noise} (one standard error).",
    band="the best simple baseline ± one standard error over judging {things}",
    use="predicted",
    limits="Probabilities hold for {things} that come as these did, with classes as frequent as here.",
)
EMBED = Wording(
    sections=("answer", "signal", "ranking", "evidence", "why", "embeddings", "budget", "health", "data", "method"),
    score="{name}: the share of {things} that nothing was trained on whose class their place tells wrong",
    noise=CLASSIFY.noise,
    band=CLASSIFY.band,
    use="embedded",
    limits="{things} are alike here if their labels are equal; another sense of alike needs other labels.",
)
SEARCH = replace(
    EMBED,
    sections=tuple(name for name in EMBED.sections if name != "signal"),
    score="{name}: how often a view of one of the {things} does not find its other view first",
    limits="Without labels each of the {things} is like itself only, in the sense of these views.",
)
ALIGN = replace(
    SEARCH,
    sections=tuple("pairs" if name == "signal" else name for name in EMBED.sections),
    score="{name}: how often what belongs to a new thing is not found first, the mean of both ways",
    limits="Recall holds for a gallery of this size; a larger one is harder.",
)
COMPARE = replace(
    ALIGN,
    score="{name}: how often a new pair that is not alike has the higher cosine than one that is",
    limits="{things} are alike here as the labels say; another sense of alike needs other labels.",
)
DETECT = replace(
    GENERATE,
    score="the share of pairs in which a row looks more unlikely than an outlier (1 - AUROC)",
    noise="As many other judging rows and outliers would change a score by about {noise} (one standard error).",
    band=CLASSIFY.band,
    limits="Outliers of another kind may be found better or worse; average precision holds for their share here.",
)
WITH_OUTLIERS = ("answer", "ranking", "evidence", "why", "outliers", *GENERATE.sections[4:])


def wording(study: Study) -> Wording:
    """The words of a study's goal."""
    embed = SEARCH if searched(study) else COMPARE if compared(study) else EMBED
    found = {"classify": CLASSIFY, "embed": embed, "align": ALIGN}.get(study.goal, GENERATE)
    found = DETECT if study.score_name == "1 - auroc" and study.goal == "generate" else found
    found = replace(found, sections=WITH_OUTLIERS) if outliers(study) else found
    named = {f: getattr(found, f).replace("{things}", things(study)) for f in ("score", "noise", "band", "limits")}
    return replace(found, **named)


SCORES = {
    "1 - knn-accuracy": "kNN error (1 - accuracy)",
    "1 - auroc of pairs": "AUROC error of pairs (1 - AUROC)",
    "1 - probe-accuracy": "linear probe error (1 - accuracy)",
    "1 - accuracy": "error rate (1 - accuracy)",
    "1 - balanced-accuracy": "balanced error rate (1 - balanced accuracy)",
    "1 - macro-f1": "macro-F1 error (1 - macro-F1)",
    "1 - auroc": "AUROC error (1 - AUROC)",
    "1 - average-precision": "average precision error (1 - average precision)",
    "brier": "Brier score",
    "calibration": "calibration error (debiased, squared)",
}


def score_name(study: Study) -> str:
    """The name of the score as people know it."""
    return SCORES.get(study.score_name, study.score_name.replace("^2", "²"))
