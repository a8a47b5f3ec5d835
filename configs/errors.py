"""Every error that a person may see, as one tree.

    MantaError
    +-- BadRequest            the request is wrong (a client can mend it)
    |   +-- PayloadTooLarge
    |   +-- UnsupportedParameter
    |   +-- ContextTooLong
    |   +-- CodeRefused       a code of an app or a recovery code that is wrong or used
    |   +-- PasskeyRefused    a passkey that cannot be made here
    |   +-- InvalidFilter, InvalidPath, InvalidValue, NoTarget, ReadOnlyAttribute    what a directory (SCIM) asked for
    +-- Unauthorized          no key, or a wrong one
    |   +-- PasskeySignInRefused    a passkey that opens nothing
    |   +-- TwoFactorRequired       the password is good, and a code is missing
    |   +-- CodeSignInRefused       the password is good, and the code is not
    |   +-- SignInRefused     a sign-in provider's word was not believed, or it gave none
    +-- Forbidden             a key that may not do this
    |   +-- TwoFactorSetupRequired  this role works with a second factor only
    |   +-- SecondFactorMissing     this session did not show the second factor that there is
    |   +-- ReauthenticationRequired    this act needs the password again
    +-- NotFound
    |   +-- ModelNotFound
    |   +-- RouteNotFound
    +-- MethodNotAllowed
    +-- Conflict              it exists already, or its version moved on
    |   +-- IdempotencyMismatch     a key that belongs to another request
    +-- Overloaded            a limit of ours is reached; try again later
    +-- Unavailable           a part is down or still starting; try again later
    |   +-- ModelStarting
    |   +-- EngineDied        a replica ended while it worked on this request
    +-- TimedOut              a deadline of ours passed
    +-- Internal              a fault of ours; the log has the rest
    |   +-- Unreadable        stored content that no key opens
    +-- ConfigurationError    the operator's file, flags or environment (never sent to a client)
        +-- DamagedBackup     a backup is not what was written

Each class has a stable `code` and `kind` and no HTTP status: `api/errors.py` is the only place that knows those. All
cross process borders, so all survive pickling. Messages are written for the person who reads them and carry no text of
the exception that caused them.
"""

from typing import Any, ClassVar


class MantaError(Exception):
    """Base of all expected errors.

    `param` names the request field that is wrong; `retry_after_s` tells when a new try makes sense.
    """

    kind: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword arguments when the error crosses a process border."""
        return _rebuild, (type(self), self.message, self.param, self.retry_after_s)


def _rebuild(cls: type[MantaError], message: str, param: str | None, retry_after_s: float | None) -> MantaError:
    return cls(message, param=param, retry_after_s=retry_after_s)


class BadRequest(MantaError):
    """The request is malformed or out of range."""

    kind = "invalid_request_error"


class PayloadTooLarge(BadRequest):
    """The body is larger or deeper than the gate lets through."""

    code = "request_too_large"


class BodyTimedOut(BadRequest):
    """The client did not send its body in time."""

    code = "request_timeout"


class UnsupportedParameter(BadRequest):
    """A field of OpenAI's contract that this installation cannot honour, or one it does not know."""

    code = "unsupported_parameter"


class ContextTooLong(BadRequest):
    """The prompt (with the tokens asked for) does not fit the model's window."""

    code = "context_length_exceeded"


class CodeRefused(BadRequest):
    """A code of an authenticator app or a recovery code that is wrong, too old or used."""

    code = "invalid_two_factor_code"


class PasskeyRefused(BadRequest):
    """A passkey that cannot be made: another page, a ceremony that is over, an answer that cannot be verified."""

    code = "passkey_refused"


class InvalidFilter(BadRequest):
    """A directory's filter that cannot be read, or asks for what cannot be searched. Codes of SCIM are RFC 7644's."""

    code = "invalidFilter"


class InvalidPath(BadRequest):
    """A directory's path to an attribute that cannot be read."""

    code = "invalidPath"


class InvalidValue(BadRequest):
    """A value of a directory that does not fit the schema, or a required one that is missing."""

    code = "invalidValue"


class NoTarget(BadRequest):
    """A directory's change to a value that is not there."""

    code = "noTarget"


class ReadOnlyAttribute(BadRequest):
    """A directory's change to an attribute that only the service sets."""

    code = "mutability"


class Unauthorized(MantaError):
    """No key, or one that is unknown, expired or revoked."""

    kind = "invalid_request_error"  # OpenAI's own word here
    code = "invalid_api_key"


class PasskeySignInRefused(Unauthorized):
    """A passkey that is not known here, or an answer that cannot be verified."""

    code = "passkey_refused"


class SignInRefused(Unauthorized):
    """Signing in with a provider failed: the person or the provider said no, or what it sent does not hold."""

    code = "sign_in_refused"


class Forbidden(MantaError):
    """The key is good but may not do this."""

    kind = "permission_error"
    code = "forbidden"


class TwoFactorRequired(Unauthorized):
    """The password is right, and the account asks for a code as well."""

    code = "two_factor_required"


class CodeSignInRefused(Unauthorized):
    """The password is right, and the code is wrong, too old or used."""

    code = "invalid_two_factor_code"


class SecondFactorMissing(Forbidden):
    """The caller has a second factor, and this session was begun without it."""

    code = "two_factor_required"


class ReauthenticationRequired(Forbidden):
    """The session was proven too long ago for this act."""

    code = "reauthentication_required"


class TwoFactorSetupRequired(Forbidden):
    """The caller's role works with a second factor only, and there is none yet."""

    code = "two_factor_setup_required"


class NotFound(MantaError):
    """No such thing, or it belongs to somebody else."""

    kind = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """No model of that name is configured."""

    code = "model_not_found"


class StoreNotFound(NotFound):
    """No vector store of that name exists."""

    code = "store_not_found"


class RouteNotFound(NotFound):
    """No such path."""

    code = "unknown_url"


class MethodNotAllowed(MantaError):
    """The path exists, the method does not."""

    kind = "invalid_request_error"
    code = "method_not_allowed"


class Conflict(MantaError):
    """It exists already, or changed since it was read."""

    kind = "invalid_request_error"
    code = "conflict"


class IdempotencyMismatch(Conflict):
    """An `Idempotency-Key` that belongs to another request."""

    code = "idempotency_key_reused"


class Overloaded(MantaError):
    """A queue is full; nothing was started."""

    kind = "overloaded_error"
    code = "overloaded"


class Unavailable(MantaError):
    """A part that this request needs is down."""

    kind = "service_unavailable_error"
    code = "service_unavailable"


class ModelStarting(Unavailable):
    """The model is known but no replica of it is ready yet."""

    code = "model_starting"


class EngineDied(Unavailable):
    """The replica that worked on this request ended; what was sent so far is all there is."""

    code = "engine_died"


class TimedOut(MantaError):
    """A deadline passed: first token, between tokens, or the whole answer."""

    kind = "timeout_error"
    code = "timeout"


class Internal(MantaError):
    """A fault of ours. The client gets the request id, the log gets the rest."""

    code = "internal_error"


class Unreadable(Internal):
    """Stored content cannot be decrypted: it was changed or moved, or its key was destroyed."""

    code = "unreadable_content"


class ConfigurationError(MantaError):
    """The operator's file, flags or environment. The message names the place and how to mend it."""

    kind = "configuration_error"
    code = "configuration_error"


class DamagedBackup(ConfigurationError):
    """A backup lacks a part, or a part is not what was written. The message names it."""

    code = "damaged_backup"
