"""Which CI run this is, so that one last job can sweep the sessions of all the others.

Standard library only: the plugin's start-up imports it. The variables are those that each provider
documents as set in every job; the same value must come out in all jobs of one run, and another in its re-run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Provider(NamedTuple):
    name: str
    #: Set by this provider in every job, and by no other.
    sign: str
    #: Identifies the run.
    run: str
    #: Counts its re-runs, where the run's own identifier stays the same.
    attempt: str | None = None


_PROVIDERS = (
    _Provider("github", "GITHUB_ACTIONS", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    _Provider("gitlab", "GITLAB_CI", "CI_PIPELINE_ID"),
    _Provider("circleci", "CIRCLECI", "CIRCLE_WORKFLOW_ID"),
    _Provider("buildkite", "BUILDKITE", "BUILDKITE_BUILD_ID"),
    _Provider("azure", "TF_BUILD", "BUILD_BUILDID", "SYSTEM_STAGEATTEMPT"),
    _Provider("jenkins", "JENKINS_URL", "BUILD_TAG"),
)


def ci_run(environ: Mapping[str, str]) -> str | None:
    """Name the CI run as ``provider-run-attempt``, or return ``None`` where there is none.

    The attempt is 1 where the provider gives every re-run an identifier of its own.
    """
    for provider in _PROVIDERS:
        run = environ.get(provider.run)
        if environ.get(provider.sign) and run:
            attempt = environ.get(provider.attempt, "1") if provider.attempt else "1"
            return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{provider.name}-{run}-{attempt}")
    return None
