"""The command `uws-server accounts`: create, list, change, disable and remove accounts. Imports the accounts.

The module of the accounts itself is imported where one is used: `--help` needs no database.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from uws_server import config
from uws_server.commands.options import add_command, add_configuration, require_database
from uws_server.errors import ConfigurationError

if TYPE_CHECKING:
    from uws_server.services.accounts import Accounts
    from uws_server.storage.accounts import AccountColumns

_DEFAULT = "default"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    make = add_command(actions, "add", "make an account; its token is shown once")
    make.add_argument("name", metavar="NAME", help="letters, digits, '_', '-', '+', '@', '.', such as a mail address")
    make.add_argument("--admin", action="store_true", help="may see and change every job and make definitions live")
    what = "author writes job definitions, others are those that definitions ask for; may be given again"
    make.add_argument("--role", action="append", default=[], metavar="ROLE", dest="roles", help=what)
    make.add_argument("--max-active", metavar="N", help="most jobs queued or running (default: max_active)")
    make.add_argument("--max-running", metavar="N", help="most jobs running at a time (default: max_running_owner)")
    make.add_argument(
        "--max-stored", metavar="SIZE", help="what its jobs may take on disk, such as 5GB (default: max_stored)"
    )
    make.set_defaults(act=_add)
    roles = add_command(actions, "roles", "give an account these roles and no others")
    roles.add_argument("name", metavar="NAME", help="name of the account")
    roles.add_argument(
        "roles", nargs="*", metavar="ROLE", help="author, or what a definition asks for; give no role to take all away"
    )
    roles.set_defaults(act=lambda accounts, options: accounts.set_roles(options.name, options.roles),
                       last_words="roles")  # fmt: skip
    change = add_command(actions, "change", "change the limits of an account, or make it an admin; at once")
    change.add_argument("name", metavar="NAME", help="name of the account")
    change.add_argument("--admin", action=argparse.BooleanOptionalAction, help="may see and change every job, or not")
    change.add_argument("--max-active", metavar="N", help="most jobs queued or running, 0 for any number, or default")
    change.add_argument("--max-running", metavar="N", help="most jobs running at a time, 0 for any number, or default")
    change.add_argument(
        "--max-stored", metavar="SIZE", help="what its jobs may take on disk, such as 5GB, or 'default'"
    )
    change.set_defaults(act=_change)
    disable = add_command(actions, "disable", "let an account in no more; its jobs go on, its tokens stay")
    enable = add_command(actions, "enable", "let a disabled account in again")
    for action, disabled in ((disable, True), (enable, False)):
        action.add_argument("name", metavar="NAME", help="name of the account")
        action.set_defaults(act=_set_disabled(disabled))
    token = add_command(actions, "token", "give an account a new token; all others are void, and browsers signed out")
    token.add_argument("name", metavar="NAME", help="name of the account")
    token.set_defaults(act=lambda accounts, options: print(accounts.renew(options.name)))
    remove = add_command(actions, "remove", "forget an account; its jobs stay for admins and keep the name")
    remove.add_argument("name", metavar="NAME", help="name of the account")
    remove.set_defaults(act=lambda accounts, options: accounts.remove(options.name))
    listing = add_command(actions, "list", "every account")
    listing.set_defaults(act=_list)
    notes = {make: "made, with the roles: {roles}", roles: "roles: {roles}", change: "limits or rights changed",
             disable: "disabled", enable: "let in again", token: "given a new token, all others void",
             remove: "removed", listing: ""}  # fmt: skip
    for action, note in notes.items():
        add_configuration(action)
        action.set_defaults(run=_with_accounts, noted=note, makes_database=action is make)


def _with_accounts(options: argparse.Namespace) -> None:
    from uws_server.services.accounts import Accounts
    from uws_server.storage.accounts import AccountStore
    from uws_server.storage.audit import AuditStore
    from uws_server.storage.jobstore import JobStore

    settings = config.load(options.config, os.environ, data=options.data)
    if not options.makes_database:
        require_database(settings)
    is_new = not settings.folders.database and not settings.folders.data.exists()
    settings.folders.data.mkdir(parents=True, exist_ok=True)
    store = JobStore(settings.database_url())
    if is_new:
        print(f"{settings.folders.data} was not there: a new database was made in it", file=sys.stderr)
    try:
        options.act(Accounts(AccountStore(store.engine)), options)
        if options.noted:
            words = ", ".join(sorted(getattr(options, "roles", ()))) or "none"
            AuditStore(store.engine).add("", options.name, options.noted.format(roles=words))
    finally:
        store.close()


def _add(accounts: Accounts, options: argparse.Namespace) -> None:
    most_active, most_bytes = _limit("max_active", options.max_active), _limit("max_stored", options.max_stored)
    most_running = _limit("max_running_owner", options.max_running, "--max-running")
    token = accounts.create(options.name, options.admin, most_active, most_bytes, options.roles, most_running)
    print(f"{options.name} {token}")
    print("Keep the token: it is not shown again.", file=sys.stderr)


def _change(accounts: Accounts, options: argparse.Namespace) -> None:
    columns: AccountColumns = {}
    if options.admin is not None:
        columns["is_admin"] = options.admin
    if options.max_active is not None:
        columns["max_active"] = _limit("max_active", options.max_active)
    if options.max_stored is not None:
        columns["max_bytes"] = _limit("max_stored", options.max_stored)
    if options.max_running is not None:
        columns["max_running"] = _limit("max_running_owner", options.max_running, "--max-running")
    if not columns:
        limits = "--max-active, --max-running or --max-stored"
        raise ConfigurationError(f"nothing to change: give --admin or --no-admin, {limits}")
    accounts.change(options.name, **columns)


def _set_disabled(disabled: bool) -> Callable[[Accounts, argparse.Namespace], None]:
    return lambda accounts, options: accounts.change(options.name, disabled=disabled)


def _limit(key: str, text: str | None, option: str = "") -> int | None:
    """Return a limit that an option gives; None for that of the configuration. ConfigurationError names the option."""
    if text in (None, _DEFAULT):
        return None
    try:
        return config.number(key, text)
    except ConfigurationError as error:
        option = option or f"--{key.replace('_', '-')}"
        raise ConfigurationError(str(error).replace(f"{key} = ", f"{option} ", 1)) from error


def _list(accounts: Accounts, _options: argparse.Namespace) -> None:
    for account in accounts.all():
        words = ["admin"] if account.is_admin else []
        words += ["disabled"] if account.disabled else []
        words += [] if account.max_active is None else [f"max-active: {account.max_active}"]
        words += [] if account.max_running is None else [f"max-running: {account.max_running}"]
        words += [] if account.max_bytes is None else [f"max-stored: {account.max_bytes / 1e9:g} GB"]
        words += [f"roles: {', '.join(account.roles.split())}"] if account.roles else []
        print(f"{account.name:32} {account.created:%Y-%m-%d}  {' '.join(words)}".rstrip())
