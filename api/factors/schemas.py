"""JSON of second factors."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

OtpCode = Annotated[str, Field(strict=True, pattern=r"^[0-9]{6}$", description="What the authenticator app shows now")]


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


class TrustedDeviceOut(BaseModel):
    """A device that skips the second factor until `trusted_until`."""

    id: str = Field(examples=["3f0c5a7e9b1d2c4e"])
    name: str = Field(examples=["Firefox on Linux"])
    created_at: datetime
    last_used_at: datetime
    trusted_until: datetime
