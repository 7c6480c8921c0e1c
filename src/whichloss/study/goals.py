"""The goals of a study, each with its judge."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from ..data import Pairs, Pictures, Table
from ..errors import StudyError
from .align.judge import PairJudge
from .classify.judge import LabelJudge
from .classify.pictures import PictureLabelJudge
from .embed.given import AlikeJudge
from .embed.judge import EmbedJudge, PictureEmbedJudge
from .embed.views import METRIC, PictureViewJudge, ViewJudge
from .generate.features import Features
from .generate.given import GivenJudge, GivenPictures
from .generate.judge import SampleJudge
from .generate.outliers import OutlierJudge
from .generate.pictures import PictureJudge
from .judge import Judge

JUDGES: dict[str, type[Judge]] = {
    "generate": SampleJudge,
    "classify": LabelJudge,
    "embed": EmbedJudge,
    "align": PairJudge,
}
LABELLED = {"classify": PictureLabelJudge, "embed": PictureEmbedJudge}  # goals that use the labels of pictures
GOALS = tuple(JUDGES)


def make_judge(
    table: Table | Pictures | Pairs,
    goal: str,
    asked: Mapping[str, Any],
    outliers: Table | None = None,
    features: Features | None = None,
    folder: Path | None = None,
) -> Judge:
    """The judge of a goal; `asked` is what the judge's own property of that name returned; folder: of the study."""
    if isinstance(table, Pairs):
        return PairJudge(table) if table.labels is None else AlikeJudge(table)
    given = asked.get("given", "")
    if asked.get("metric") == METRIC:
        return PictureViewJudge(table) if isinstance(table, Pictures) else ViewJudge(table)
    if isinstance(table, Pictures) and goal in LABELLED:
        return LABELLED[goal](table, metric=asked["metric"])
    if isinstance(table, Pictures):
        see = asked.get("features")
        if given:
            return GivenPictures(table, features, see, folder, given=given)
        return PictureJudge(table, features, see, folder)
    if given:
        return GivenJudge(table, given=given)
    if outliers is not None:
        return OutlierJudge(table, outliers, asked["metric"])
    return JUDGES[goal](table, **{k: tuple(v) if isinstance(v, list) else v for k, v in asked.items()})


@lru_cache(maxsize=1)
def judge_of(folder: str) -> Judge:
    """The judge of a study's folder, once per worker. Raises StudyError where the folder holds no plan."""
    try:
        plan = msgspec.json.decode((Path(folder) / "plan.json").read_bytes())["plan"]
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise StudyError(f"'{folder}' has no sound plan.json ({error}). Run the same comparison again.") from error
    table, outliers = Path(folder) / "data.safetensors", Path(folder) / "outliers.safetensors"
    if "pairs" in plan["asked"]:
        return make_judge(Pairs.load(table), plan["goal"], plan["asked"])
    if "shape" in plan["asked"] and plan["goal"] in LABELLED:
        return make_judge(Pictures.load(table), plan["goal"], plan["asked"])
    if "shape" in plan["asked"]:
        eyes = Features.load(Path(folder) / "features.safetensors")
        return make_judge(Pictures.load(table), plan["goal"], plan["asked"], features=eyes, folder=Path(folder))
    strange = Table.load(outliers) if "outliers" in plan["asked"] else None
    return make_judge(Table.load(table), plan["goal"], plan["asked"], strange)
