"""The commands: parse, call, print, set the exit code. Heavy imports happen inside the commands that need them.

Exit codes: 0 decided, 1 internal error, 2 the user's mistake, 3 tie or undecided, 4 faults found,
5 data unfit, 130 stopped by Ctrl-C.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import UserError, WhichlossError, nearest

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which training loss fits my data best, and why?",
)
DECIDED, INTERNAL, STOPPED, TIE, FAULTS = 0, 1, 130, 3, 4
GO_ON = " Finished runs are kept; run the same command again to go on."

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A .csv, .parquet, .npy or .npz file, or toy:NAME; of pictures a folder, an IDX or an .npy file.",
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished comparison.")]
Group = Annotated[
    str | None, typer.Option(help="Keep rows with equal values of this column on one side of every split.")
]
Time = Annotated[str | None, typer.Option(help="Split by this column: the latest rows judge.")]
Size = Annotated[str | None, typer.Option(help="Reduce pictures to this side, such as 16, or to HEIGHTxWIDTH.")]
Drop = Annotated[list[str] | None, typer.Option(help="Leave this column out. May be repeated.")]
First = Annotated[
    str | None, typer.Option(help="Of pairs: the column of picture files, or columns of numbers such as 'image_*'.")
]
Second = Annotated[
    str | None, typer.Option(help="Of pairs: the column of captions, or of other picture files, or columns of numbers.")
]


@app.command()
def compare(
    data: Source,
    goal: Annotated[
        str | None, typer.Option(help="generate (the default), classify (with --target), embed, or align (pairs).")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="The column of labels to predict, or several 0/1 columns with commas; embed: what is alike, or of "
            "pairs 1 (alike) or 0."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What decides between classifiers: log-loss, accuracy ...; between embeddings: knn-accuracy, "
            "probe-accuracy, view-recall, pair-auroc; auroc with --outliers."
        ),
    ] = None,
    outliers: Annotated[
        str | None, typer.Option(help="Rows that do not belong, a file or a 0/1 column: which objective finds them?")
    ] = None,
    given: Annotated[
        str | None, typer.Option(help="Generate rows given this column of classes; pictures given their 'label'.")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="quick, standard, thorough, or operations per run, such as 3e11.")
    ] = "quick",
    first: First = None,
    second: Second = None,
    objectives: Annotated[str | None, typer.Option(help="Names with commas, ./mine.py among them, or 'all'.")] = None,
    nets: Annotated[
        Path | None, typer.Option(help="A file with your own networks: def D(inputs, outputs): ...")
    ] = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    size: Size = None,
    features: Annotated[
        str | None, typer.Option(help="What pictures are compared by: labels, turns, random or efficientnet-lite0.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds per finalist.")] = None,
    settings: Annotated[
        int | None, typer.Option(help="Settings tried per objective, the default one included.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local: the processes of this machine.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Processes; one per core by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go; whichloss-NAME by default.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Train although the data look unfit.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the study as JSON and nothing else.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Train every objective on DATA with equal compute, judge them on unseen rows, and say which to use.

    Running the same command again resumes: finished runs are kept.
    """
    from .comparison import as_command, objective_names, side_of
    from .live import plan_lines
    from .study.request import request

    asked = request(
        data, goal=goal, target=target, metric=metric, outliers=outliers, given=given, anyway=anyway, size=budget,
        side=side_of(size), features=features, first=first, second=second,
        objectives=objective_names(objectives), nets=nets, group=group, time=time, drop=drop or (), seeds=seeds,
        settings=settings, out=out, engine=engine, workers=workers, command=as_command(sys.argv[1:]),
    )  # fmt: skip
    if not json:
        for line in plan_lines(asked.plan, asked.judge, asked.folder, asked.workers):
            _print(line)
    (_dry_run if dry_run else _compare)(asked, json)


def _dry_run(asked: Any, json: bool) -> None:
    if not json:
        typer.echo("Nothing was run (--dry-run).")
        return
    import msgspec

    plan = msgspec.to_builtins(asked.plan) | {"stages": asked.plan.stages()}
    typer.echo(msgspec.json.format(msgspec.json.encode(plan)).decode())


def _compare(asked: Any, json: bool) -> None:
    from .comparison import carry_out
    from .live import Terminal
    from .study.run import Silent

    if json:
        found = carry_out(asked, Silent())
        typer.echo((found.folder / "study.json").read_text())
    else:
        from .report import text

        with Terminal() as terminal:
            found = carry_out(asked, terminal)
        _print(text.table(found.study))
        for line in text.closing(found.study):
            _print(line)
        typer.echo(f"report: {found.report}   model: {found.folder / 'best'}")
    raise typer.Exit(DECIDED if found.verdict == "better" else TIE)


@app.command()
def describe(
    data: Source,
    goal: Annotated[str | None, typer.Option(help="align: DATA are pairs; the other goals need no word here.")] = None,
    first: First = None,
    second: Second = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    size: Size = None,
    target: Annotated[str | None, typer.Option(help="Labels, as for compare; of pairs 1 (alike) or 0.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what was understood of DATA: rows, types, constants, repeats, suspicious columns; of pictures, of pairs."""
    import msgspec

    from .comparison import side_of
    from .data import describe as understand
    from .data import is_pictures, read, read_pairs, read_pictures
    from .study.request import NO_PICTURES, are_labelled, check_labels, known_goal, label_names, only_pairs, only_tables

    known_goal(goal)
    if goal == "align" or (target and are_labelled(data, goal or "embed", target, None, first, second)):
        only_pairs({"time": time, "drop": drop})
        pairs = read_pairs(data, first=first, second=second, concept=group, size=side_of(size), label=target)
        found: Any = understand(pairs)
    elif first or second:
        named = "first" if first else "second"
        raise UserError(
            f"--{named} names columns of pairs; add --goal align, or --target if a column says which pairs are alike, "
            "or leave it out."
        )
    elif is_pictures(data):
        only_tables(data, {"time": time, "drop": drop})
        found = understand(read_pictures(data, size=side_of(size), group=group))
    else:
        if size is not None:
            raise UserError(NO_PICTURES)
        table = read(data, group=group, time=time, drop=drop or ())
        check_labels(label_names(target), table, {group: "--group", time: "--time"})
        found = understand(table)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    for line in found.lines():
        typer.echo(line)


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", help="How many rows, or pictures.")] = 1000,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="A .csv or .parquet file; of pictures an .npy file, a .png file (all on one sheet) or a new folder. "
            "samples.csv by default, or samples.npy.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="COLUMN=CLASS: all rows of that class, of a run with --given COLUMN.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal rows.")] = 0,
    nets: Annotated[Path | None, typer.Option(help="The file with your own networks, if the run used one.")] = None,
) -> None:
    """Draw new rows, or pictures, from the recommended model: with the columns and types, or the size, of your data."""
    from .study.choice import pairs

    model = _load(run, nets)
    if model.shape is None:
        output = output or Path("samples.csv")
        _writer(output)
    else:
        output = output or Path("samples.npy")
        _picture_writer(output)
    _spare(output, learned=model.record["source"])
    rows = model.sample(n, seed, pairs(where) if where is not None else None)
    if model.shape is None:
        _write_table(rows, output)
    else:
        getattr(rows, _picture_writer(output))(output)
    typer.echo(f"{n:,} {'pictures' if model.shape else 'rows'} written to {output}")


@app.command()
def score(
    run: RunFolder,
    data: Source,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A .csv or .parquet file; the screen by default.")
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(help="The share of rows like yours that may be called unlikely, at most.")
    ] = 0.05,
    explain: Annotated[bool, typer.Option("--explain", help="Say which columns make a row unlikely.")] = False,
    size: Size = None,
    nets: Annotated[Path | None, typer.Option(help="The file with your own networks, if the run used one.")] = None,
) -> None:
    """Say how likely every row of DATA is: energy or log-density, p-value against held-out rows, unlikely or not."""
    from .comparison import side_of
    from .data.write import quoted, texts
    from .study.unlikely import told

    if output is not None:
        _writer(output)
    model = _load(run, nets)
    if output is not None:
        _spare(output, data, model.record["source"], nets)
    rows = model.unlikely(data, false_alarms, explain, side_of(size))
    if output is None:
        columns = [map(quoted, texts(c, rows.values[:, j])) for j, c in enumerate(rows.schema.columns)]
        typer.echo("\n".join([",".join(rows.schema.names), *map(",".join, zip(*columns, strict=True))]))
    else:
        _write_table(rows, output)
    for said in told(model, rows, false_alarms, explain):
        typer.echo(said, err=output is None)  # beside the rows on the screen, not among them
    if output is not None:
        typer.echo(f"{len(rows):,} scores written to {output}")


@app.command()
def predict(
    run: RunFolder,
    data: Source,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .csv or .parquet file.")] = Path("predicted.csv"),
    size: Size = None,
    nets: Annotated[Path | None, typer.Option(help="The file with your own networks, if the run used one.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="After --goal align: names of classes with commas, told by these alone.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(help="With --classes: a sentence with {} for the name, such as 'a photo of a {}'."),
    ] = None,
) -> None:
    """Write the labels of every row of DATA and their calibrated probabilities."""
    from .comparison import side_of

    _writer(output)
    model = _load(run, nets)
    _spare(output, data, model.record["source"])
    named = classes.split(",") if classes is not None else None
    if template and not named:
        raise UserError("--template says how the names of --classes are told; give both or neither.")
    say = {"templates": template} if template else {}
    rows = model.zero_shot(data, named, side_of(size), **say) if named else model.predict(data, side_of(size))
    _write_table(rows, output)
    for note in rows.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{len(rows):,} predictions written to {output}")


@app.command()
def retrieve(
    run: RunFolder,
    query: Annotated[str, typer.Argument(help="A text, or the file of a picture.", show_default=False)],
    top: Annotated[int, typer.Option(help="How many answers.")] = 5,
) -> None:
    """Find what belongs to QUERY among the pairs of a study: pictures for a text, texts for a picture."""
    model = _load(run, None)
    for place, found in enumerate(model.retrieve(query, top), 1):
        typer.echo(f"{place:>3}  {found.cosine:.3f}  {found.name}")


@app.command()
def embed(
    run: RunFolder,
    data: Source,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .csv or .parquet file.")] = Path("embedded.csv"),
    size: Size = None,
    nets: Annotated[Path | None, typer.Option(help="The file with your own networks, if the run used one.")] = None,
) -> None:
    """Write where every row of DATA lies: columns z1, z2 ... whose inner products are cosines."""
    from .comparison import side_of

    _writer(output)
    model = _load(run, nets)
    _spare(output, data, model.record["source"])
    rows = model.embed(data, side_of(size))
    _write_table(rows, output)
    for note in rows.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{len(rows):,} embeddings written to {output}")


@app.command()
def report(run: RunFolder) -> None:
    """Write RUN/report.html again from RUN/study.json."""
    from .comparison import open_run
    from .report import write

    found = open_run(run)
    typer.echo(f"report: {write(found.study, found.folder)}")


@app.command()
def export(
    run: RunFolder,
    script: Annotated[Path, typer.Option(help="The Python file to write.")] = Path("train.py"),
) -> None:
    """Write one training file (torch only) that trains the recommended objective on the same data."""
    from .study.export import export as write_script

    for path in write_script(run, script):
        typer.echo(f"written: {path}")


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="An objective, a loss, a sampler, an idea, or a function: wgan-gp.")],
    file: Annotated[Path | None, typer.Argument(help="With --html: the file to write, NAME.html by default.")] = None,
    lang: Annotated[str, typer.Option(help="en or ko.")] = "en",
    html: Annotated[bool, typer.Option("--html", help="Write one page with typeset formulas and curves.")] = False,
) -> None:
    """Show a card: definition, derivation, use, pros and cons, misreadings, an example and checks that run."""
    from .cards import card, render

    if not html:
        if file is not None:
            raise UserError(f"'{file}' is written only with --html; without it the card goes to the screen.")
        typer.echo(render(card(name, lang), terminal_width(100)))
        return
    from .report.card_page import write

    own = f"{card(name, lang).name}{'' if lang == 'en' else f'.{lang}'}.html"
    typer.echo(f"written: {write(name, file or Path(own), lang)}")


@app.command("list")
def list_cards(
    goal: Annotated[str | None, typer.Option(help="Only objectives, or with --losses losses, of this goal.")] = None,
    losses: Annotated[bool, typer.Option("--losses", help="The losses, by family, instead.")] = False,
    samplers: Annotated[bool, typer.Option("--samplers", help="The samplers instead.")] = False,
    ideas: Annotated[bool, typer.Option("--ideas", help="The ideas they rest on instead.")] = False,
) -> None:
    """List the objectives in a table that helps to choose; or the losses, samplers or ideas."""
    from .report import choose

    if goal is not None and (samplers or ideas):
        raise UserError("--goal goes with objectives and with --losses; samplers and ideas serve several goals.")
    width = terminal_width(120)
    tables = [
        *([choose.losses(goal, width)] if losses else []),
        *([choose.samplers(width)] if samplers else []),
        *([choose.ideas(width)] if ideas else []),
    ]
    typer.echo("\n\n".join(tables or [choose.objectives(goal or "generate", width)]))


def terminal_width(most: int) -> int:
    """Columns of the terminal, at most so many; all of them where the output goes elsewhere."""
    return min(most, os.get_terminal_size().columns) if sys.stdout.isatty() else most


@app.command("new-objective")
def new_objective(
    name: Annotated[str, typer.Argument(help="Its name, such as my-gan; the files are my_gan.py and my_gan.md.")],
    like: Annotated[str, typer.Option(help="The shipped objective to start from.")] = "gan",
) -> None:
    """Write the two files of an objective of your own, to start from: code that trains, and its card."""
    from .objectives import start

    code, card = start(name, like)
    typer.echo(f"written: {code} (the objective) and {card} (its card)")
    typer.echo(f"Change the losses in {code}, then: whichloss compare DATA --objectives {like},./{code}")


@app.command()
def check(
    function: Annotated[str, typer.Argument(metavar="FILE.py:FUNCTION", help="A PyTorch function of yours.")],
    loss: Annotated[str, typer.Option("--as", help="The loss it should be, such as wgan-gp-penalty.")],
    arguments: Annotated[str, typer.Option("--args", help="Which argument is which: real=x,fake=y.")] = "",
    seconds: Annotated[float, typer.Option(help="The longest it may take.")] = 30.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a function of yours is the loss it should be: in value, in gradient, and if not, where they part."""
    from .check import check as compare_with_formula
    from .check import pairs

    answer = compare_with_formula(function, loss, args=pairs(arguments), seconds=seconds)
    typer.echo(answer.json() if json else str(answer))
    raise typer.Exit(answer.code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(
    context: typer.Context,
    target: Annotated[
        Path, typer.Argument(metavar="RUN|TRAIN.py", help="The folder of a comparison, or a script that trains.")
    ],
    page: Annotated[Path, typer.Option(help="Where the page of a script goes.")] = Path("whichloss-health.html"),
    seconds: Annotated[float | None, typer.Option(help="Stop the script after so long.")] = None,
    proof: Annotated[
        bool, typer.Option("--try", help="Of a comparison: try the remedies that change one setting, on short runs.")
    ] = False,
) -> None:
    """Say why a training does not work: of a comparison's runs, or of your own script, which is run and watched.

    Arguments after the script's name are the script's. Exit code 4 where a fault is found, 1 where the script crashed
    without one.
    """
    crashed = False
    if target.is_dir():
        from .comparison import open_run
        from .report.text import findings

        study = open_run(target).study
        found = study.findings
        for line in findings(found):
            _print(line)
        if proof:
            from .report.lookup import rope
            from .study.remedy import put_to_proof

            tried = put_to_proof(target, found, rope(study))
            for trial in tried:
                typer.echo(trial.says)
            if not tried:
                typer.echo("No fault here has a remedy that changes one setting by itself.")
    else:
        from .watching import run

        watched = run(target, context.args, page, seconds)
        found, crashed = watched.findings, watched.trace.crashed
    fault = any(f.level == "fault" for f in found)
    raise typer.Exit(FAULTS if fault else INTERNAL if crashed else DECIDED)


bench = typer.Typer(no_args_is_help=True, help="Benchmarks that anyone can run again.")
app.add_typer(bench, name="bench")


@bench.command()
def faults(
    full: Annotated[bool, typer.Option("--full", help="Every data set, width and seed: about an hour.")] = False,
    families: Annotated[str, typer.Option(help="Some kinds of training only, with commas.")] = "",
    workers: Annotated[int | None, typer.Option(help="Processes; one per core by default.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep each run here, a line of JSON; go on with what is there.")
    ] = None,
) -> None:
    """Plant faults in training loops, and count which the doctor finds and names, and what it says of healthy ones."""
    from .planting import bench as plant
    from .report.faults import lines

    asked = families.split(",") if families else None

    def told(done: int, of: int) -> None:
        if done % 50 == 0 or done == of:
            typer.echo(f"{done} of {of} runs", err=True)

    for line in lines(plant(full=full, families=asked, workers=workers, out=out, told=told)):
        typer.echo(line)


@app.command()
def selftest() -> None:
    """Run every objective and sampler on Gaussian data against the known answers (under a minute)."""
    from .doctor.selftest import selftest as run_checks

    typer.echo("Training every objective on Gaussian data; this takes about 40 s.")
    checks = run_checks()
    for check in checks:
        mark = typer.style("pass", fg="green") if check.passed else typer.style("FAIL", fg="red")
        numbers = f"{check.found:.3g}, expected {check.expected:.3g} within {check.tolerance:.2g}"
        typer.echo(f"{mark} {check.name}: {numbers} ({check.says})")
    failed = sum(not check.passed for check in checks)
    typer.echo(f"{len(checks) - failed} of {len(checks)} checks passed.")
    raise typer.Exit(INTERNAL if failed else DECIDED)


def _load(run: Path, nets: Path | None) -> Any:
    from .study.model import load
    from .study.nets import load_file

    return load(run, load_file(nets) if nets else None)


def _writer(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise UserError(f"'{path}' should end in .csv or .parquet, the formats that can be written.")
    return kind


def _picture_writer(path: Path) -> str:
    """The method that writes pictures to such a path."""
    kind = path.suffix.lower()
    if kind not in ("", ".npy", ".png"):
        raise UserError(
            f"'{path}': the model draws pictures. Name an .npy file, a .png file for one sheet of all, or a new folder "
            "(no ending) for a PNG file each."
        )
    if kind and path.is_dir():
        raise UserError(f"'{path}' is a folder; name a file that ends in .npy or .png, or a folder without an ending.")
    return {"": "to_folder", ".npy": "to_npy", ".png": "to_sheet"}[kind]


def _spare(output: Path, data: str | None = None, learned: str | None = None, nets: Path | None = None) -> None:
    """Refuse to write over what was given."""
    given = {"the file that is read": data, "the file that the model learned from": learned, "your networks": nets}
    for what, path in given.items():
        if path and output.exists() and (there := Path(path).expanduser()).exists() and output.samefile(there):
            raise UserError(f"--output '{output}' is '{path}', {what}, and would replace it: choose another name.")


def _write_table(rows: Any, path: Path) -> None:
    (rows.to_csv if _writer(path) == ".csv" else rows.to_parquet)(path)


def _print(what: object) -> None:
    from rich.console import Console

    Console(soft_wrap=isinstance(what, str), highlight=False).print(what)


def main() -> None:
    """The entry point: an error that we raise on purpose is one message, never a traceback."""
    try:
        code = app(standalone_mode=False) or DECIDED  # without standalone mode, typer returns the exit code
        if code == STOPPED:  # newer versions of typer make an exit code of Ctrl-C
            raise KeyboardInterrupt
    except WhichlossError as error:
        code = error.exit_code
        _complain(str(error))
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
        typer.echo("\nStopped." + GO_ON * (sys.argv[1:2] == ["compare"]), err=True)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own usage errors have one
            raise
        code = UserError.exit_code
        _complain(_usage(error))
    sys.exit(code)


def _complain(message: str) -> None:
    if message:
        typer.secho(f"error: {message}", err=True, fg="red")


def _usage(error: Any) -> str:
    """What is wrong with the command line, and where to look."""
    says = error.format_message()
    context = getattr(error, "ctx", None)
    if not says or context is None:  # the help was shown instead
        return str(says)
    if says.startswith("No such command"):
        asked = says.split("'")[1]
        return f"There is no command '{asked}'; {nearest(asked, context.command.commands)} See `whichloss --help`."
    words = " ".join(sys.argv[1:]).replace("=", " ").split()
    options = [option for option in getattr(getattr(error, "param", None), "opts", ()) if option in words[:-1]]
    got = f"; got '{words[words.index(options[0]) + 1]}'" if options else ""
    return f"{says.rstrip('.')}{got}. See `{context.command_path} --help`."


if __name__ == "__main__":
    main()
