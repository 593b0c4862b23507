"""The verbs. A verb's module is imported only when that verb runs, so that `gitloop --help` is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from gitloop import __version__

EPILOG = """\
exit codes:
  0  fine
  1  a gate or a check says no
  2  the input or the configuration is wrong
  3  an error in gitloop itself (please report it, with --debug)
"""

Add = Callable[[argparse.ArgumentParser], object]


class Verb(NamedTuple):
    module: str  # has a function `run(arguments)`
    does: str
    example: str
    arguments: tuple[Add, ...] = ()


def _argument(*names: str, **options: object) -> Add:
    return lambda parser: parser.add_argument(*names, **options)  # type: ignore[arg-type]


_NAME = _argument("name", help="a candidate: a file in conf/candidate/")
_CHAMPION = _argument(
    "--champion",
    metavar="REV",
    help="the Git revision whose model to compare with (default: the newest model@v… tag, if any)",
)
_VERSION = _argument("--version", metavar="NAME", help="a name for it: v1.2.0 (default: the model's hash)")
_BACKEND = _argument(
    "--backend",
    choices=("docker", "podman", "buildah"),
    help="what builds the image (default: the first of docker, podman and buildah that is ready)",
)
_BASE = _argument("--base", metavar="IMAGE", help="what the image is built on (default: Python's slim image)")
_SINCE = _argument("--since", metavar="TIME", help="rows from this time on, UTC (default: all)")
_UNTIL = _argument("--until", metavar="TIME", help="rows before this time, UTC (default: all)")
_BUMP = _argument("--bump", choices=("major", "minor", "patch"), help="what goes up (default: by what changed)")
_ENVIRONMENT = _argument("name", help="an environment: a file in environments/")

VERBS: dict[str, Verb] = {
    "params": Verb(
        "gitloop.config",
        "compose conf/ into params.yaml",
        "gitloop params --check",
        (
            _argument("--check", action="store_true", help="write nothing; fail when out of step"),
            _argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, for this once, such as +preset=quick"),
        ),
    ),
    "schema": Verb(
        "gitloop.gitops.schema",
        "write the JSON schemas by which an editor completes and checks conf/ and environments/",
        "gitloop schema",
    ),
    "explain": Verb(
        "gitloop.explain",
        "say of a setting what it does, what it is, where that is written and what reads it",
        "gitloop explain gates.baseline",
        (_argument("key", nargs="?", help="such as data.window.until (default: list all)"),),
    ),
    "init": Verb(
        "gitloop.data.init",
        "declare your own table: read it, infer its contract, choose it",
        "gitloop init customers.csv --target churned",
        (
            _argument(
                "source", help="a CSV or Parquet file, folder or URL, a database's URL, or env:NAME that holds one"
            ),
            _argument("--target", metavar="COLUMN", required=True, help="what is predicted"),
            _argument(
                "--task", choices=("binary", "multiclass", "regression"), help="(default: what the target shows)"
            ),
            _argument("--query", metavar="TABLE", help="of a database: a table's name, or a SELECT"),
            _argument("--name", help="of the file in conf/data/ (default: as the source is called)"),
            _argument("--force", action="store_true", help="write over a file of this name"),
        ),
    ),
    "ingest": Verb("gitloop.data.ingest", "read the source's window into a table", "gitloop ingest"),
    "validate": Verb(
        "gitloop.data.validate", "check the table against the contract, set bad rows aside", "gitloop validate"
    ),
    "split": Verb("gitloop.data.split", "split into train and test", "gitloop split"),
    "profile": Verb("gitloop.data.profile", "write a page that describes the data", "gitloop profile"),
    "train": Verb("gitloop.modeling.train", "tune and train one candidate", "gitloop train boosting", (_NAME,)),
    "select": Verb("gitloop.modeling.select", "pick the best candidate and say why", "gitloop select"),
    "evaluate": Verb("gitloop.modeling.evaluate", "judge the chosen model on the test slice", "gitloop evaluate"),
    "package": Verb("gitloop.serving.package", "put the chosen model into model/, to be served", "gitloop package"),
    "build": Verb(
        "gitloop.serving.build", "make a Bento of the packaged model", "gitloop build --version v1.2.0", (_VERSION,)
    ),
    "image": Verb(
        "gitloop.serving.image",
        "put a Bento into a container image",
        "gitloop image --backend podman --base python:3.11-slim",
        (_VERSION, _BACKEND, _BASE),
    ),
    "gate": Verb(
        "gitloop.modeling.gates",
        "check the chosen model against every bound",
        "gitloop gate --champion main",
        (_CHAMPION,),
    ),
    "compare": Verb(
        "gitloop.modeling.compare",
        "score champion and challenger on the same rows",
        "gitloop compare --champion model@v1.0.0",
        (_CHAMPION,),
    ),
    "serve": Verb(
        "gitloop.gitops.serve",
        "start the service of the chosen model, or of a version",
        "gitloop serve --port 3001",
        (
            _argument(
                "--version", metavar="NAME", help="a version, with the packages that it locks (default: what is here)"
            ),
            _argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)"),
            _argument("--port", type=int, help="(default: conf/serving/)"),
        ),
    ),
    "replay": Verb(
        "gitloop.serving.replay",
        "send rows of the source to a running service, and measure it",
        "gitloop replay --since 2013-04-01 --until 2013-04-08 --clients 8 --feedback",
        (
            _SINCE,
            _UNTIL,
            _argument("--url", help="of the service (default: this machine, at the port of conf/serving/)"),
            _argument("--clients", type=int, default=4, metavar="N", help="requests at a time (default: 4)"),
            _argument("--rate", type=float, metavar="N", help="at most so many rows per second (default: no limit)"),
            _argument("--feedback", action="store_true", help="tell the service the truth of each row too"),
            _argument("--serve", action="store_true", help="start the service for it, and stop it afterwards"),
        ),
    ),
    "score": Verb(
        "gitloop.gitops.score",
        "predict every row of a source, into files or a database",
        "gitloop score --since 2013-04-01 --until 2013-05-01",
        (
            _SINCE,
            _UNTIL,
            _argument("--environment", metavar="NAME", help="with the version that runs there (default: what is here)"),
        ),
    ),
    "check": Verb(
        "gitloop.gitops.checks",
        "check configuration, lock, metrics and workflows, and look for secrets",
        "gitloop check",
    ),
    "storage": Verb("gitloop.gitops.storage", "say where data and models are kept", "gitloop storage"),
    "reproduce": Verb(
        "gitloop.gitops.reproduce",
        "run the stages that changed, with no more data than needed",
        "gitloop reproduce",
    ),
    "commit": Verb(
        "gitloop.gitops.commit",
        "commit dvc.lock, params.yaml and metrics as the run of a workflow does",
        "gitloop commit --push",
        (_argument("--push", action="store_true", help="push data and the commit too, and have it checked"),),
    ),
    "register": Verb(
        "gitloop.gitops.register",
        "give the model of this commit its version",
        "gitloop register --push",
        (
            _BUMP,
            _argument("--push", action="store_true", help="push the tag too"),
        ),
    ),
    "release": Verb(
        "gitloop.gitops.release",
        "build the model of main, register it, and keep both",
        "gitloop release --push",
        (_BUMP, _argument("--push", action="store_true", help="push the tag, and keep the model where no remote does")),
    ),
    "unpack": Verb(
        "gitloop.gitops.unpack",
        "write what the image of a version is built from",
        "gitloop unpack v1.2.0 --to dist/image",
        (
            _argument("version", help="as `gitloop versions` names it"),
            _argument("--to", metavar="FOLDER", help="where to put it (default: dist/image)"),
        ),
    ),
    "pushed": Verb(
        "gitloop.gitops.images",
        "record which image of a version was pushed to its registry",
        "gitloop pushed v1.2.0 sha256:0a1b… --push",
        (
            _argument("version", help="as `gitloop versions` names it"),
            _argument("digest", help="as the registry says it"),
            _argument("--push", action="store_true", help="push the tag too"),
        ),
    ),
    "stop": Verb(
        "gitloop.gitops.stop",
        "end what an environment runs on this machine",
        "gitloop stop production",
        (_ENVIRONMENT,),
    ),
    "environments": Verb(
        "gitloop.gitops.environments",
        "show what is to run where, and what does",
        "gitloop environments",
        (_argument("--since", metavar="REV", help="tell the workflow which of their files differ from this revision"),),
    ),
    "promote": Verb(
        "gitloop.gitops.promote",
        "propose to deploy a version to an environment",
        "gitloop promote production",
        (
            _argument(
                "name", nargs="?", help="a file in environments/ (default: each that does not follow the newest)"
            ),
            _argument("--version", metavar="NAME", help="which version (default: the newest)"),
        ),
    ),
    "rollback": Verb(
        "gitloop.gitops.promote",
        "propose to deploy the version that ran before",
        "gitloop rollback production",
        (
            _ENVIRONMENT,
            _argument("--version", metavar="NAME", help="which version (default: the one that ran there before)"),
        ),
    ),
    "retire": Verb(
        "gitloop.gitops.promote",
        "propose that nothing runs in an environment",
        "gitloop retire production",
        (_ENVIRONMENT,),
    ),
    "versions": Verb("gitloop.gitops.registry", "show every version and where it runs", "gitloop versions"),
    "fetch": Verb(
        "gitloop.gitops.fetch",
        "get the model of a version",
        "gitloop fetch v1.2.0",
        (
            _argument("version", help="as `gitloop versions` names it"),
            _argument("--to", metavar="FOLDER", help="where to put it (default: model-VERSION)"),
        ),
    ),
    "deploy": Verb(
        "gitloop.gitops.deploy",
        "make an environment what environments/NAME.yaml says",
        "gitloop deploy production --push",
        (
            _argument("name", metavar="ENVIRONMENT", help="a file in environments/"),
            _argument("--push", action="store_true", help="push the record too, and open an issue where it fails"),
        ),
    ),
    "monitor": Verb(
        "gitloop.monitoring.monitor",
        "look at a window of predictions beside what their model was trained on",
        "gitloop monitor --since 2013-04-01 --until 2013-04-08",
        (
            _argument(
                "--environment", metavar="NAME", help="read the log of what is deployed there, if that is this machine"
            ),
            _argument("--since", metavar="TIME", help="predictions from this time on, UTC (default: a window before)"),
            _argument("--until", metavar="TIME", help="predictions before this time, UTC (default: this midnight)"),
        ),
    ),
    "recall": Verb(
        "gitloop.gitops.windows",
        "bring the windows that were looked at before, from branch monitoring",
        "gitloop recall",
    ),
    "site": Verb(
        "gitloop.gitops.site",
        "make a page of versions, deployments, windows and decisions, in site/",
        "gitloop site --open",
        (_argument("--open", action="store_true", help="open it in a browser too"),),
    ),
    "act": Verb(
        "gitloop.gitops.act",
        "do what was decided: an issue, a proposal to retrain, or one to take a version down",
        "gitloop act",
    ),
    "decide": Verb(
        "gitloop.monitoring.decide",
        "say what the last windows ask for: nothing, an alert, a retraining or a retirement",
        "gitloop decide",
    ),
    "label": Verb(
        "gitloop.monitoring.label",
        "have people label predictions in Label Studio, and take what they say as truth",
        "gitloop label export --since 2013-04-01 --until 2013-04-08",
        (
            _argument("what", choices=("export", "import"), help="write tasks, or take in what became of them"),
            _argument("file", nargs="?", metavar="FILE", help="of import: Label Studio's export, JSON or JSON-MIN"),
            _argument(
                "--environment", metavar="NAME", help="the log of what is deployed there, if that is this machine"
            ),
            _argument("--since", metavar="TIME", help="predictions from this time on, UTC (default: a window before)"),
            _argument("--until", metavar="TIME", help="predictions before this time, UTC (default: now)"),
        ),
    ),
    "resolve": Verb(
        "gitloop.gitops.resolve",
        "resolve a merge conflict in dvc.lock, params.yaml and metrics",
        "gitloop resolve",
    ),
    "dispatch": Verb(
        "gitloop.gitops.dispatch",
        "start a workflow at this branch",
        "gitloop dispatch train.yml",
        (_argument("workflow", help="the name of a file in .github/workflows/"),),
    ),
    "comment": Verb(
        "gitloop.gitops.comment",
        "put the report of a run on its pull request, in the workflow Report",
        "gitloop comment --artifact report",
        (_argument("--artifact", metavar="FOLDER", required=True, help="what the run uploaded; it is not trusted"),),
    ),
    "report": Verb(
        "gitloop.gitops.report",
        "sum up what changed and whether it may be merged, in the terminal and as Markdown",
        "gitloop report --base main",
        (
            _argument(
                "--base",
                metavar="REV",
                help="the Git revision to compare with (default: where the branch left main, or the commit before)",
            ),
        ),
    ),
    "update": Verb(
        "gitloop.gitops.update",
        "bring the repository to a newer version of the template it was generated from",
        "gitloop update",
        (
            _argument("--template", metavar="ADDRESS", help="where the template is (default: as .gitloop.json says)"),
            _argument(
                "--from",
                dest="since",
                metavar="COMMIT",
                help="the template's commit it was generated from (default: as .gitloop.json says)",
            ),
            _argument("--to", metavar="REV", help="a tag, branch or commit of it (default: the newest release)"),
            _argument("--write", metavar="FOLDER", help="change nothing, and leave the update there for --propose"),
            _argument("--propose", metavar="FOLDER", help="open the pull request of what --write left there"),
        ),
    ),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="gitloop",
        description="The life of one machine-learning model, run from Git.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"gitloop {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = top.add_subparsers(dest="verb", metavar="verb", required=True)
    for name, verb in VERBS.items():
        one = verbs.add_parser(
            name,
            help=verb.does,
            description=verb.does[0].upper() + verb.does[1:] + ".",
            epilog=f"example:\n  {verb.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )
        for add in verb.arguments:
            add(one)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns its exit code."""
    arguments = parser().parse_args(argv)
    from gitloop.errors import GitloopError

    try:
        import_module(VERBS[arguments.verb].module).run(arguments)
    except GitloopError as error:
        if arguments.debug:
            raise
        for line in str(error).splitlines():
            print(f"gitloop {arguments.verb}: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"gitloop {arguments.verb}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if arguments.debug:
            raise
        print(
            f"gitloop {arguments.verb}: unexpected {type(error).__name__}: {' '.join(str(error).split())}; "
            "run with --debug and report it",
            file=sys.stderr,
        )
        return 3
    return 0
