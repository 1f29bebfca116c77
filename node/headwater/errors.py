"""Every error that a user can meet, in one tree.

    HeadwaterError            cause, next step, exit code, machine-readable code
      InvalidInput            2   what was passed is wrong
        BadRecord                 a record of the wrong shape, empty, over a limit, not UTF-8, ...
        BadSignature              wrong, malleable, or of a foreign domain
        BadAdapter                an adapter that must not be served
      NotFound                4   no such thing here
        UnknownModel
        MissingContent            a CID that no reachable store holds
        ErasedContent             its key was destroyed: the bytes remain and can never be read
      Conflict                5   it is there already, in another form
        DoubleSigning             a second, different signature for one slot
        HomeInUse                 another node runs on this home
        PortInUse
      Refused                 6   understood, and against the rules
        Expired                   a deadline has passed
        NotEnoughCredit           carries the missing amount
        TransactionReverted       the contract said no; carries its error by name
      VerificationFailed      1   a proof, digest or recomputation does not hold; names the broken link
        CorruptContent            bytes that do not match their CID
      Incomplete              3   everything that could be checked holds, and not everything could be checked
      Unavailable             7   a part that is needed does not answer
        DiskFull
        JobFailed                 a training job ended badly; carries reason and last log lines

Anything else that escapes is a defect of ours. A message says the cause; `next_step` says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar


class HeadwaterError(Exception):
    """Base of all expected errors; `cause` and `next_step` are whole sentences without a full stop."""

    exit_code: ClassVar[int] = 10
    code: ClassVar[str] = "error"

    def __init__(self, cause: str, next_step: str, **details: object) -> None:
        super().__init__(f"{cause}. {next_step[:1].upper()}{next_step[1:]}.")
        self.cause = cause
        self.next_step = next_step
        self.details: Mapping[str, object] = MappingProxyType(details)

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "cause": self.cause, "next_step": self.next_step, **self.details}


class InvalidInput(HeadwaterError):
    exit_code = 2
    code = "invalid_input"


class BadRecord(InvalidInput):
    code = "bad_record"


class BadSignature(InvalidInput):
    code = "bad_signature"


class BadAdapter(InvalidInput):
    code = "bad_adapter"


class NotFound(HeadwaterError):
    exit_code = 4
    code = "not_found"


class UnknownModel(NotFound):
    code = "model_not_found"


class MissingContent(NotFound):
    code = "missing_content"


class ErasedContent(NotFound):
    code = "erased_content"


class Conflict(HeadwaterError):
    exit_code = 5
    code = "conflict"


class DoubleSigning(Conflict):
    code = "double_signing"


class HomeInUse(Conflict):
    code = "home_in_use"


class PortInUse(Conflict):
    code = "port_in_use"


class Refused(HeadwaterError):
    exit_code = 6
    code = "refused"


class Expired(Refused):
    code = "expired"


class NotEnoughCredit(Refused):
    code = "not_enough_credit"


class TransactionReverted(Refused):
    code = "transaction_reverted"


class VerificationFailed(HeadwaterError):
    exit_code = 1
    code = "verification_failed"


class CorruptContent(VerificationFailed):
    code = "corrupt_content"


class Incomplete(HeadwaterError):
    exit_code = 3
    code = "incomplete"


class Unavailable(HeadwaterError):
    exit_code = 7
    code = "unavailable"


class DiskFull(Unavailable):
    code = "disk_full"


class JobFailed(Unavailable):
    code = "job_failed"
