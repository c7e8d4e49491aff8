"""JSON of the reconcile resource."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool


class ReconcileIn(BaseModel):
    """What to do: `repair` re-drives what is missing."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"repair": False}]})

    repair: StrictBool = False


class DifferenceOut(BaseModel):
    """One thing that differs, by id."""

    check: str = Field(examples=["missing_in_analytics"])
    subject: str = Field(examples=["urn:example:chat evt_0199"])
    detail: str = Field(examples=["is in Kafka and not in analytics"])
    organization: str = Field(examples=["org_acme"])


class HourOut(BaseModel):
    """Sums of one organization and hour that differ between the stores; tokens of all classes, micro-credits."""

    organization: str = Field(examples=["org_acme"])
    hour: str = Field(examples=["2026-11-23T07:00:00.000000Z"])
    events: dict[str, int] = Field(examples=[{"kafka": 10, "ledger": 10, "analytics": 9}])
    tokens: dict[str, int] = Field(examples=[{"kafka": 4180, "ledger": 4180, "analytics": 3762}])
    micros: dict[str, int] = Field(examples=[{"ledger": 41800000, "analytics": 37620000}])


class ReconcileOut(BaseModel):
    """The verdict over everything that all consumers have committed; `pending` records are still on their way."""

    clean: bool
    compared: dict[str, int] = Field(examples=[{"kafka": 19366, "ledger": 19366, "analytics": 19366}])
    pending: int = Field(examples=[0])
    repaired: int = Field(examples=[0])
    by_check: dict[str, int] = Field(examples=[{}])
    differences: list[DifferenceOut]
    hours: list[HourOut]
