"""JSON of second factors."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from api.factors.browser import Assertion, NewCredential
from contracts.types import Text

OtpCode = Annotated[str, Field(strict=True, pattern=r"^[0-9]{6}$", description="What the authenticator app shows now")]
Challenge = Annotated[str, Field(strict=True, min_length=1, max_length=128, examples=["Zk2v1mTT..."])]
RecoveryCode = Annotated[str, Field(strict=True, min_length=16, max_length=32, pattern=r"^[A-Za-z2-7 -]+$")]
_SECOND_STEP: dict[str, Any] = {"challenge": "Zk2v1mTT", "totp": "492039", "remember_device": True}


class FactorsOut(BaseModel):
    """What a person has set up."""

    totp: bool = Field(examples=[True])
    passkeys: int = Field(examples=[1])
    recovery_codes_left: int = Field(examples=[10])


class TotpOut(BaseModel):
    """The secret of an authenticator app; it counts once its first code was confirmed."""

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"], description="Base32, for typing in")
    uri: str = Field(examples=["otpauth://totp/Smart%20AI%20Hub:ada%40example.com?secret=JBSWY3DP&issuer=Smart%20AI"])
    qr_svg: str = Field(examples=["data:image/svg+xml;charset=utf-8,%3Csvg%3E%3C/svg%3E"], description="The URI as QR")


class TotpConfirm(BaseModel):
    """The first code of the authenticator app."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "492039"}]})

    code: OtpCode


class EnrolledOut(BaseModel):
    """A factor is set up. `recovery_codes` come with a person's first factor: shown now and never again."""

    factor: str = Field(examples=["totp"])
    recovery_codes: list[str] | None = Field(examples=[["abcd-efgh-ijkl-mnop"]])


class RecoveryCodesOut(BaseModel):
    """Fresh codes, each good for one log-in: shown now and never again; those before are void."""

    recovery_codes: list[str] = Field(examples=[["abcd-efgh-ijkl-mnop"]])


class PasskeyAsked(BaseModel):
    """For `navigator.credentials.create` or `.get` (`parse...OptionsFromJSON`); send `challenge` back with its answer,
    within five minutes."""

    challenge: str = Field(examples=["Zk2v1mTT..."])
    options: dict[str, Any] = Field(examples=[{"challenge": "3q2-7w", "rpId": "localhost"}])


class PasskeyIn(BaseModel):
    """The browser's answer to the options."""

    model_config = ConfigDict(extra="forbid")

    challenge: Challenge
    credential: NewCredential
    name: Text = Field(default="Passkey", examples=["Laptop"])


class PasskeyName(BaseModel):
    """Another name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Laptop"}]})

    name: Text


class PasskeyOut(BaseModel):
    """One passkey. `backed_up`: it is copied between devices."""

    id: str = Field(examples=["pk_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["Laptop"])
    created_at: datetime
    last_used_at: datetime | None
    backed_up: bool = Field(examples=[False])


class PasskeyCreated(PasskeyOut):
    """A new passkey. `recovery_codes` come with a person's first factor: shown now and never again."""

    recovery_codes: list[str] | None = Field(examples=[["abcd-efgh-ijkl-mnop"]])


class Proof(BaseModel):
    """Exactly one proof of a second factor."""

    model_config = ConfigDict(extra="forbid")

    totp: OtpCode | None = Field(default=None, examples=["492039"])
    recovery_code: RecoveryCode | None = Field(default=None, examples=[None])
    passkey: Assertion | None = Field(default=None, examples=[None])

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(proof is not None for proof in self._proofs()) != 1:
            raise PydanticCustomError("one_proof", "Give exactly one proof")
        return self

    def _proofs(self) -> tuple[object, ...]:
        return self.totp, self.recovery_code, self.passkey


class SecondStepIn(Proof):
    """The second step of a log-in. `remember_device`: the device needs none for 30 days (send its device token)."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_SECOND_STEP]})

    challenge: Challenge
    remember_device: StrictBool = False


class ChallengeIn(BaseModel):
    """The challenge of a log-in's second step."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"challenge": "Zk2v1mTT"}]})

    challenge: Challenge


class StepUpIn(Proof):
    """Exactly one proof; the password only without a second factor. `challenge` goes with a passkey."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"totp": "492039"}]})

    password: Annotated[str, Field(strict=True, min_length=1, max_length=1024)] | None = None
    challenge: Challenge | None = None

    def _proofs(self) -> tuple[object, ...]:
        return *super()._proofs(), self.password


class ElevatedOut(BaseModel):
    """Until when the session may touch money, keys and roles."""

    elevated_until: datetime


class PasskeyLogIn(BaseModel):
    """A log-in by passkey alone."""

    model_config = ConfigDict(extra="forbid")

    challenge: Challenge
    passkey: Assertion


class TrustedDeviceOut(BaseModel):
    """A device that needs no second factor until `trusted_until`."""

    id: str = Field(examples=["3f0c5a7e9b1d2c4e3f0c5a7e9b1d2c4e"])
    name: str = Field(examples=["Firefox"])
    created_at: datetime
    last_used_at: datetime
    trusted_until: datetime
