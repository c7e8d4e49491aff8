"""What a failure of ClickHouse means: away (wait and try again) or a bug (let it through)."""

from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from urllib3.exceptions import HTTPError

from contracts.errors import AnalyticsUnavailable

# Server error codes after which the same statement may well succeed later (ClickHouse, ErrorCodes.cpp).
_TRANSIENT: Final = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        164,  # READONLY, while a replica starts
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server shuts down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        999,  # KEEPER_EXCEPTION
    }
)


class analytics_errors:  # noqa: N801 - reads as a verb: `with analytics_errors():`
    """Turns what the driver raises for a server that is away into AnalyticsUnavailable; lets bugs through."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and is_transient(error):
            raise AnalyticsUnavailable(f"ClickHouse does not answer ({_reason(error)}); try again") from error


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may well succeed later."""
    if isinstance(error, DatabaseError) and error.code is not None:
        return error.code in _TRANSIENT
    if isinstance(error, OperationalError | HTTPError | TimeoutError | OSError):
        return True
    # A proxy or a server that is only starting answers without ClickHouse's own code.
    return isinstance(error, ClickHouseError) and str(error).startswith("HTTP driver received HTTP status 5")


def _reason(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return type(error).__name__ if code is None else f"code {code}"
