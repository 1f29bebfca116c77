"""The child process of one job: `python -m headwater.modelfactory.worker JOB_FOLDER`.

In: the folder that `jobs` prepared, its lock already held by an inherited file descriptor. Out: the job's files, and
exactly one of `result.json` and `failure.json`; neither if the process is killed, which its lock then tells. Standard
output and error are the job's log.
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

import transformers

from headwater.errors import DiskFull, HeadwaterError, InvalidInput, JobFailed, Refused
from headwater.modelfactory.evaluate import run_evaluation
from headwater.modelfactory.job_spec import FAILURE_FILE, SPEC_FILE, JobKind, JobSpec
from headwater.modelfactory.trainer import run_training
from headwater.protocol.canonical import canonical_json
from headwater.storage.files import write_durably

DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def say(line: str) -> None:
    print(line, flush=True)


def run_job(folder: Path) -> None:
    """Do the job of this folder in this process. Raises HeadwaterError for every expected failure."""
    spec = JobSpec.from_bytes((folder / SPEC_FILE).read_bytes())
    try:
        if spec.kind is JobKind.TRAIN:
            run_training(folder, spec, say)
        else:
            run_evaluation(folder, spec, say)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise DiskFull(f"the disk is full ({error})", "free space, then start the job again") from error
        raise JobFailed(f"a file could not be used: {error}", "check the job's folder") from error
    except MemoryError as error:
        raise JobFailed("the machine has too little memory", "lower batch_size or max_tokens") from error


def main(arguments: list[str]) -> int:
    """Exit status 0, or that of the error, which is also in `failure.json`."""
    if len(arguments) != 1:
        say("usage: python -m headwater.modelfactory.worker JOB_FOLDER")
        return InvalidInput.exit_code
    folder = Path(arguments[0])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    transformers.utils.logging.disable_progress_bar()  # the log is read as lines
    try:
        run_job(folder)
    except HeadwaterError as error:
        traceback.print_exc()
        say(str(error))
        try:
            write_durably(folder / FAILURE_FILE, canonical_json(_words(error)))
        except (OSError, DiskFull) as second:
            say(f"failure.json could not be written: {second}")
        return error.exit_code
    return 0


def _words(error: HeadwaterError) -> dict[str, str]:
    return {"code": error.code, "cause": error.cause, "next_step": error.next_step}


def _stop(number: int, frame: FrameType | None) -> None:
    raise Refused("the job was stopped on request", "start it again: it begins anew and ends in the same digests")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
