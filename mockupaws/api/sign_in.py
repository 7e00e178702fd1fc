"""Signing in, going on, signing out.

Two things hold attempts back, both in `_attempt` and both answered alike: so many a minute for an account from an
address, whatever came of them; and repeated failures, which wait longer and longer, by account and by address.

An unknown e-mail gets the same answers, after the same work, as a wrong password: nobody learns who has an account.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from mockupaws.api.authenticate import Authenticator, Principal
from mockupaws.api.databases import Databases
from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.sessions import (
    end_session,
    next_refresh_token,
    open_session,
    refresh_token_hmac,
    revocation_seconds,
)
from mockupaws.runtime.access_tokens import SigningSecrets, issue_token
from mockupaws.runtime.audit import AuditEntry, Origin, append_entry
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.limits.plans import sign_in_limit
from mockupaws.runtime.passwords import check_password
from mockupaws.runtime.postgres import Connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import SIGN_INS
from mockupaws.schemas.accounts import SCOPES_OF_ROLE, normalise_email

FREE_FAILURES_OF_ACCOUNT = 5
"""In a row; after them each waits twice as long as the one before."""
FREE_FAILURES_OF_ADDRESS = 50
"""An address may be that of a whole office."""
LONGEST_WAIT_SECONDS = 300
"""Short enough that nobody is locked out of an account for long by somebody else's guesses."""
MAX_CHECKS = 4
"""Sign-ins at once: each is a quarter of a second of a core, which others need, too."""
CHECK_WAIT_SECONDS = 5.0

_WRONG = "e-mail or password is wrong"
_SIGN_IN_AGAIN = "the refresh token is unknown, used or expired: sign in again"


@dataclass(frozen=True, slots=True)
class SignedIn:
    access_token: str
    refresh_token: str


class SignIn:
    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        authenticator: Authenticator,
        limiter: Limiter,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._secrets = SigningSecrets.of(settings.jwt_secret, settings.jwt_previous_secret)
        self._databases = databases
        self._authenticator = authenticator
        self._limiter = limiter
        self._clock = clock
        self._checks = asyncio.Semaphore(MAX_CHECKS)

    async def log_in(self, email: str, password: str, origin: Origin) -> SignedIn:
        """Raises RefusedError: 401, 429 with the time to wait, 503."""
        name = normalise_email(email) or email.casefold()
        async with self._attempt(name, origin.address):
            user = await self._ask("find_user", name)
            if not await _matches(password, user["password_hash"] if user else None) or user is None:
                raise RefusedError("unauthenticated", _WRONG)
            session_id = uuid4()
            async with self._databases.write(user["tenant_id"]) as connection:
                # The check took its time: the user may have changed or gone meanwhile.
                now = await connection.fetchrow(SQL["lock_user_for_change"], user["id"])
                if now is None or now["password_hash"] != user["password_hash"]:
                    raise RefusedError("unauthenticated", _WRONG)
                await connection.execute(SQL["note_login"], user["id"])
                refresh = await open_session(connection, self._settings, user["tenant_id"], user["id"], session_id)
                await self._record(connection, user["tenant_id"], user["id"], "session.opened", session_id, origin)
        return SignedIn(self._access_token(user["tenant_id"], user["id"], now["role"], session_id), refresh)

    async def check_own_password(self, tenant_id: UUID, user_id: UUID, password: str, address: str) -> str:
        """The stored hash the password matched. Raises RefusedError as `log_in` does; failures count the same."""
        async with self._databases.read(tenant_id) as reading:
            user = await reading.connection.fetchrow(SQL["find_own_password"], user_id)
        async with self._attempt(user["email"] if user else str(user_id), address):
            if not await _matches(password, user["password_hash"] if user else None) or user is None:
                raise RefusedError("unauthenticated", "the current password is wrong")
        stored: str = user["password_hash"]
        return stored

    async def refresh(self, token: str, origin: Origin) -> SignedIn:
        """The next pair of tokens. Raises RefusedError 401; a used token ends its session."""
        stored = refresh_token_hmac(self._settings, token)
        found = await self._ask("find_refresh_token", stored) if stored else None
        if found is None:
            raise RefusedError("unauthenticated", _SIGN_IN_AGAIN)
        tenant_id, user_id, session_id = found["tenant_id"], found["user_id"], found["session_id"]
        async with self._databases.write(tenant_id) as connection:
            user = await connection.fetchrow(SQL["lock_user"], user_id)
            session = await connection.fetchrow(SQL["lock_session"], session_id)
            valid = user is not None and session is not None and session["lasts"]
            first_use = valid and await connection.fetchval(SQL["use_refresh_token"], stored) is not None
            if first_use:
                await connection.execute(SQL["note_refresh"], session_id)
                following = await next_refresh_token(connection, self._settings, tenant_id, session_id)
            else:
                await end_session(connection, self._settings, tenant_id, session_id)
                why = "a used refresh token came again" if valid else "it had expired"
                await self._record(connection, tenant_id, user_id, "session.ended", session_id, origin, why)
        if not first_use or user is None:
            self.refuse_tokens([session_id])
            SIGN_INS.labels("token_reused" if valid else "token_refused").inc()
            raise RefusedError("unauthenticated", _SIGN_IN_AGAIN)
        return SignedIn(self._access_token(tenant_id, user_id, user["role"], session_id), following)

    async def log_out(self, principal: Principal, origin: Origin) -> None:
        """Ends the session that the access token came from, with all its tokens."""
        if principal.session_id is None or principal.user_id is None:
            raise RefusedError("forbidden", "an API key isn't signed in: revoke it instead")
        async with self._databases.write(principal.tenant_id) as connection:
            await end_session(connection, self._settings, principal.tenant_id, principal.session_id)
            await self._record(
                connection, principal.tenant_id, principal.user_id, "session.ended", principal.session_id, origin,
                "signed out",
            )  # fmt: skip
        self.refuse_tokens([principal.session_id])

    def refuse_tokens(self, ids: list[UUID]) -> None:
        """After the commit that revoked them: in force in this process at once."""
        expires_us = self._clock.now_us() + revocation_seconds(self._settings) * 1_000_000
        self._authenticator.forget_tokens(ids, expires_us)

    async def _record(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, action: str, session_id: UUID, origin: Origin,
        reason: str = "",
    ) -> None:  # fmt: skip
        entry = AuditEntry(
            tenant_id=tenant_id, actor=str(user_id), action=action, target=str(session_id), origin=origin, reason=reason
        )
        now = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)
        await append_entry(connection, self._settings.audit_key, entry, now)

    def _access_token(self, tenant_id: UUID, user_id: UUID, role: str, session_id: UUID) -> str:
        return issue_token(
            self._secrets,
            user_id=user_id,
            tenant_id=tenant_id,
            role=role,
            scopes=SCOPES_OF_ROLE[role],
            token_id=uuid4(),
            session_id=session_id,
            now=self._clock.now_us() // 1_000_000,
            life=self._settings.access_token_seconds,
        )

    @asynccontextmanager
    async def _attempt(self, name: str, address: str) -> AsyncIterator[None]:
        """Counts as failed unless the block ends well. Raises RefusedError where it has to wait."""
        account_subject = self._subject("account", name)
        address_subject = self._subject("address", address_group(address))
        await self._admit(account_subject, address_subject)
        async with self._slot():
            for subject, free in (
                (address_subject, FREE_FAILURES_OF_ADDRESS),
                (account_subject, FREE_FAILURES_OF_ACCOUNT),
            ):
                row = await self._ask("begin_sign_in", subject, free, LONGEST_WAIT_SECONDS)
                if row is not None and row[0] > 0:
                    SIGN_INS.labels("locked").inc()
                    raise RefusedError("too_many_attempts", f"too many failures: wait {row[0]} s", row[0])
            try:
                yield
            except RefusedError:
                SIGN_INS.labels("refused").inc()
                raise
            await self._ask("forgive_sign_in", account_subject, address_subject)
            SIGN_INS.labels("accepted").inc()

    async def _admit(self, account_subject: bytes, address_subject: bytes) -> None:
        """Of this account from this address, right passwords too: each costs a check, and a stolen one isn't rushed."""
        limit = sign_in_limit(self._settings)
        if limit is None:
            return
        pair = hashlib.sha256(account_subject + address_subject).hexdigest()
        verdict = await self._limiter.admit(pair, [(limit, 1)])
        if not verdict.admitted:
            SIGN_INS.labels("limited").inc()
            wait = verdict.retry_after
            message = f"{limit.maximum} sign-ins a {limit.period} of an account are allowed here: wait {wait} s"
            raise RefusedError("too_many_attempts", message, wait, verdict.headers)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(CHECK_WAIT_SECONDS):
                await self._checks.acquire()
        except TimeoutError:
            raise RefusedError("unavailable", "too many sign-ins at once; try again shortly") from None
        try:
            yield
        finally:
            self._checks.release()

    async def _ask(self, statement: str, *values: Any) -> asyncpg.Record | None:
        async with asyncio.timeout(self._settings.postgres_timeout_seconds):
            return await self._databases.primary.fetchrow(SQL[statement], *values)

    def _subject(self, kind: str, name: str) -> bytes:
        return hmac.digest(self._settings.api_key_pepper.encode(), f"{kind}\0{name}".encode(), hashlib.sha256)


async def _matches(password: str, stored: str | None) -> bool:
    return await asyncio.to_thread(check_password, password, stored)


def address_group(address: str) -> str:
    """Whom failures are counted for: an IPv4 address, or the /64 of an IPv6 one, which one subscriber has whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
