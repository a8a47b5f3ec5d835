"""Backups in a bucket of S3 or of anything that speaks its protocol. The only door of boto3.

Credentials come by boto3's ordinary chain (environment, profile, instance role), the address by `AWS_ENDPOINT_URL`.
"""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from api.storage.target import S3, missing
from configs.errors import ConfigurationError, Unavailable

ATTEMPTS = 5
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
PAGE = 1000
"""Names that one answer lists, at most what S3 allows."""
ABSENT = {"NoSuchKey", "404"}
CLOSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403"}


class Bucket:
    """Objects below a prefix of a bucket. S3 itself shows an object whole or not at all."""

    def __init__(self, place: str) -> None:
        self._bucket, _, prefix = place.removeprefix(S3).partition("/")
        if not self._bucket:
            msg = f"{place!r} names no bucket: write s3://BUCKET/PREFIX"
            raise ConfigurationError(msg)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.place = place
        settings = Config(
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
        )
        self._client: Any = self._asked(boto3.Session().client, "s3", config=settings)

    def put(self, name: str, content: bytes) -> None:
        """One PUT, with the checksum that boto3 adds."""
        self._asked(self._client.put_object, Bucket=self._bucket, Key=self._prefix + name, Body=content)

    def get(self, name: str) -> bytes:
        """One GET."""
        try:
            answer = self._asked(self._client.get_object, Bucket=self._bucket, Key=self._prefix + name)
        except KeyError as error:
            raise missing(self.place, name) from error
        content: bytes = self._asked(answer["Body"].read)
        return content

    def names(self, prefix: str) -> Iterator[str]:
        """Page by page; S3 lists in order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, PaginationConfig={"PageSize": PAGE}
        )
        listed = iter(pages)
        while (page := self._asked(next, listed, None)) is not None:
            for entry in page.get("Contents", []):
                yield entry["Key"].removeprefix(self._prefix)

    def delete(self, name: str) -> None:
        """One DELETE, which does not mind absence."""
        self._asked(self._client.delete_object, Bucket=self._bucket, Key=self._prefix + name)

    def tidy(self, prefix: str, before: float) -> None:
        """A PUT leaves nothing half written."""

    def _asked(self, call: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  boto3 has no types
        try:
            return call(*arguments, **named)
        except NoCredentialsError as error:
            msg = f"there are no credentials for {self.place}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise ConfigurationError(msg) from error
        except ClientError as error:
            raise self._refusal(str(error.response.get("Error", {}).get("Code", ""))) from error
        except BotoCoreError as error:
            msg = f"{self.place} cannot be reached: check the network and AWS_ENDPOINT_URL"
            raise Unavailable(msg) from error

    def _refusal(self, code: str) -> Exception:
        if code in ABSENT:
            return KeyError(code)
        if code == "NoSuchBucket":
            return ConfigurationError(f"there is no bucket {self._bucket!r}: make it, or name another")
        if code in CLOSED:
            return ConfigurationError(
                f"{self.place} refused this account ({code}): it needs to list, get, put and delete"
            )
        return Unavailable(f"{self.place} refused the request ({code or 'no reason given'}); try again later")
