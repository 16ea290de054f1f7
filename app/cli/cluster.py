"""The options that let an operator command run inside a cluster instead of here."""

from __future__ import annotations

from typing import Any

import click

# ruff: noqa: PLC0415 - the kubernetes client takes a third of a second to import, which no other command needs

FLAGS = frozenset({"--in-cluster", "--detach"})
WITH_VALUE = frozenset({"--namespace", "--deployment", "--context", "--job-deadline"})
_ARGUMENTS = "app.cli.cluster.arguments"


def _options() -> list[click.Parameter]:
    return [
        click.Option(["--in-cluster"], is_flag=True, help="Run as a Job in the cluster, and show its log here."),
        click.Option(["--namespace"], metavar="NS", help="Namespace of the Job. [default: the context's]"),
        click.Option(
            ["--deployment"], metavar="NAME", help="Deployment that the Job is made from. [default: event-service]"
        ),
        click.Option(["--context"], metavar="CTX", help="Context of the kube config. [default: the current one]"),
        click.Option(["--detach"], is_flag=True, help="Start the Job and return."),
        click.Option(
            ["--job-deadline"],
            type=click.IntRange(min=1),
            metavar="SECONDS",
            help="Let Kubernetes end the Job after this time. [default: never]",
        ),
    ]


class ClusterCommand(click.Command):
    """A command with `--in-cluster`: `@group.command(cls=ClusterCommand)`.

    The callback is not told of these options. With `--in-cluster` it is not called: the very same words, without
    these options, are the command line of the Job, and its exit code is this command's. The groups above are
    named by the words that chose them; options of groups are not passed on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the options behind the command's own."""
        super().__init__(*args, **kwargs)
        self.params += _options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, which parsing consumes."""
        ctx.meta[_ARGUMENTS] = [*_words_to(ctx), *without_options(args)]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback here, or the same command in the cluster."""
        chosen = {option.name: ctx.params.pop(str(option.name)) for option in _options()}
        if not chosen["in_cluster"]:
            for option in _options():
                if chosen[option.name]:
                    raise click.UsageError(f"{option.opts[0]} goes with --in-cluster.", ctx)
            return super().invoke(ctx)

        from app.cluster.api import Cluster
        from app.cluster.run import Voice, run

        code = run(
            Cluster.connect(chosen["context"], chosen["namespace"]),
            chosen["deployment"] or "event-service",
            ctx.meta[_ARGUMENTS],
            Voice(show=click.echo, say=lambda sentence: click.echo(sentence, err=True)),
            detach=chosen["detach"],
            deadline_seconds=chosen["job_deadline"],
        )
        return ctx.exit(code)


def _words_to(ctx: click.Context) -> list[str]:
    """Give the words that chose this command, below the program's own name."""
    return [] if ctx.parent is None else [*_words_to(ctx.parent), str(ctx.info_name)]


def without_options(args: list[str]) -> list[str]:
    """Leave out the options of this module and their values; what is behind a `--` stays as it is."""
    kept: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            return [*kept, word, *words]
        name, equals, _ = word.partition("=")
        if word in WITH_VALUE:
            next(words, None)
        elif word not in FLAGS and not (equals and name in WITH_VALUE):
            kept.append(word)
    return kept
