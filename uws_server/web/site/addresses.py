"""Where every page is, and the name of what draws it; imports no page."""

from __future__ import annotations

from typing import Final

from uws_server.services import job_keys
from uws_server.services.provider_sign_in import CALLBACK

_ID = f"<job_id:re:{job_keys.ADDRESS}>"
_OLD_ID = f"<old_id:re:{job_keys.ADDRESS}>"
_ACCOUNT = "<name:re:[A-Za-z0-9][A-Za-z0-9_.@+-]*>"
_IMAGE_PART = r"about\.json|values\.bin|picture\.svg|regions\.json"
_SHORT_ID = "<announcement_id:re:[0-9a-f]{16}>"
_NEW = "_new"  # as the editor has it, which is not loaded for an address
_WORK = "/sessions/<address>"

Address = tuple[str, str, str]
"""The method, the path as bottle has it, and the name of the handler: an attribute of `Pages` and a method of it."""

PAGES: Final[tuple[Address, ...]] = (
    ("GET", "/", "list.page"),
    ("GET", "/jobs", "list.page"),
    ("GET", "/jobs/state", "list.state"),
    ("POST", "/jobs/selected", "selected.act"),
    ("GET", "/new", "new.choose"),
    ("GET", "/new/<name>", "new.page"),
    ("POST", "/new/<name>", "new.create"),
    ("POST", "/new/<name>/preview", "new.preview"),
    ("POST", "/new/<name>/test", "list.create_test"),
    ("GET", "/jobs/results", "selected.results"),
    ("GET", "/jobs/plot", "overlays.page"),
    ("GET", "/jobs/plot.<suffix:re:svg|json|csv>", "overlays.picture"),
    ("GET", f"/jobs/{_ID}", "job.page"),
    ("GET", f"/jobs/{_ID}/state", "job.state"),
    ("GET", f"/jobs/{_ID}/provenance", "provenance.page"),
    ("POST", f"/jobs/{_ID}/<action:re:run|abort|delete|share|unshare>", "job.act"),
    ("POST", f"/jobs/{_ID}/parts/rerun", "job.rerun_failed"),
    ("POST", f"/jobs/{_ID}/<which:re:duration|destruction>", "job.limit"),
    ("GET", f"/jobs/{_ID}/all.<suffix:re:tar|zip>", "pictures.archive"),
    ("GET", f"/jobs/{_ID}/preview/<name>.<suffix:re:svg|png|json|csv>", "pictures.preview"),
    ("GET", f"/jobs/{_ID}/image/<name>", "image.page"),
    ("GET", f"/jobs/{_ID}/image/<name>/<part:re:{_IMAGE_PART}>", "image.part"),
    ("GET", f"/jobs/{_ID}/sources/<name>", "sources.page"),
    ("GET", f"/jobs/{_ID}/sources/<name>/list.json", "sources.listed"),
    ("GET", f"/jobs/{_ID}/thumbnail/<name>.svg", "pictures.thumbnail"),
    ("GET", f"/jobs/{_ID}/parts/<number:re:[1-9][0-9]{{0,5}}>/preview", "pictures.part"),
    ("GET", "/definitions", "definitions.all"),
    ("GET", f"/definitions/{_NEW}", "editor.new"),
    ("POST", f"/definitions/{_NEW}", "editor.send_new"),
    ("GET", "/definitions/<name>", "definitions.page"),
    ("GET", "/definitions/<name>/edit", "editor.page"),
    ("POST", "/definitions/<name>/edit", "editor.send"),
    ("POST", "/definitions/<name>/preview", "editor.preview"),
    ("POST", "/definitions/<name>/<action:re:draft|restore|remove>", "definitions.act"),
    ("GET", "/definitions/<name>/draft/<kind:re:json|wadl|votable>", "definitions.export"),
    ("GET", "/definitions/<name>/draft/files/<file:path>", "editor.file"),
    ("GET", "/definitions/<name>/versions/<revision:re:[0-9a-f]{64}>", "definitions.version"),
    ("GET", "/definitions/<name>/diff", "definitions.difference"),
    ("GET", "/archive", "archive.page"),
    ("GET", "/archive/observation/<obs_id:path>", "archive.observation"),
    ("GET", "/archive/footprints.svg", "archive.footprints"),
    ("GET", "/search", "search.page"),
    ("GET", "/search/plot.<suffix:re:svg|json|csv>", "search.plot"),
    ("GET", "/rerun", "rerun.page"),
    ("POST", "/rerun", "rerun.send"),
    ("GET", f"/jobs/{_ID}/compare/{_OLD_ID}", "rerun.compare"),
    ("GET", f"/jobs/{_ID}/compare/{_OLD_ID}/<name>.<suffix:re:svg|json|csv>", "rerun.picture"),
    ("GET", "/login", "account.login"),
    ("POST", "/login", "account.sign_in"),
    ("GET", "/login/oidc", "provider.go"),
    ("GET", CALLBACK, "provider.come_back"),
    ("POST", "/account/identities", "provider.connect"),
    ("POST", "/account/identities/<identity_id:re:[0-9a-f]{16}>/remove", "account.disconnect"),
    ("POST", "/logout", "account.sign_out"),
    ("GET", "/account", "account.account"),
    ("POST", "/account/person", "account.set_person"),
    ("POST", "/account/tokens", "account.make_token"),
    ("POST", "/account/secrets", "account.set_secret"),
    ("POST", "/account/secrets/<name:re:[A-Za-z0-9_]{1,64}>/delete", "account.delete_secret"),
    ("POST", "/account/tokens/<token_id:re:[0-9a-f]{16}>/revoke", "account.revoke"),
    ("GET", "/admin", "admin.page"),
    ("POST", "/admin/<action:re:drain|undrain>", "admin.drain"),
    ("POST", f"/admin/jobs/{_ID}/<action:re:abort|hold>", "admin.act"),
    ("GET", "/sky", "sky.page"),
    ("GET", "/sky/check", "sky.check"),
    ("POST", "/sky/check", "sky.check"),
    ("GET", "/sky/place", "sky.place"),
    ("GET", "/sky/<which:re:source|background>.<ending:re:reg|stcs>", "sky.download"),
    ("POST", "/sky/<which:re:source|background>.<ending:re:reg|stcs>", "sky.download"),
    ("GET", "/sky/blank/<name:path>", "sky.blank"),
    ("GET", "/admin/accounts", "accounts.all"),
    ("POST", "/admin/accounts", "accounts.create"),
    ("GET", f"/admin/accounts/{_ACCOUNT}", "accounts.page"),
    ("POST", f"/admin/accounts/{_ACCOUNT}", "accounts.change"),
    ("POST", f"/admin/accounts/{_ACCOUNT}/<action:re:admin|no-admin|disable|enable>", "accounts.act"),
    ("POST", f"/admin/accounts/{_ACCOUNT}/token", "accounts.renew"),
    ("GET", "/admin/roles", "accounts.roles"),
    ("GET", "/admin/changes", "accounts.changes"),
    ("GET", "/admin/definitions", "validation.page"),
    ("POST", "/admin/definitions/<name>/<action:re:accept|refuse|try>", "validation.act"),
    ("GET", "/admin/announcements", "announcements.page"),
    ("POST", "/admin/announcements", "announcements.create"),
    ("POST", f"/admin/announcements/{_SHORT_ID}/<action:re:remove>", "announcements.act"),
    ("POST", f"/announcements/{_SHORT_ID}/<action:re:put-away>", "announcements.act"),
    ("GET", "/sky/exposures", "sky.exposures"),
    ("POST", "/sky/exposures", "sky.exposures"),
    ("POST", "/sky/run", "sky.run"),
    ("GET", "/sessions/keep", "keeping.page"),
    ("POST", "/sessions/keep", "keeping.keep"),
    ("GET", "/help", "help.page"),
    ("GET", "/static/<name:path>", "render.assets.send"),
)

BY_ACCEPT: Final[tuple[Address, ...]] = (
    ("GET", "/sessions", "sessions.all"),
    ("POST", "/sessions", "sessions.create"),
    ("GET", _WORK, "sessions.page"),
    ("POST", _WORK, "sessions.save"),
    ("GET", f"{_WORK}/continue", "sessions.go_on"),
    ("GET", f"{_WORK}/state", "sessions.state"),
    ("GET", f"{_WORK}/products.<suffix:re:tar|zip>", "sessions.products"),
    ("POST", f"{_WORK}/copy", "sessions.copy"),
    ("POST", f"{_WORK}/jobs", "sessions.add_job"),
    ("POST", f"{_WORK}/jobs/<job_id:re:{job_keys.ADDRESS}>/remove", "sessions.remove_job"),
    ("POST", f"{_WORK}/share", "sessions.share"),
    ("POST", f"{_WORK}/<action:re:unshare|delete>", "sessions.act"),
)
"""Pages at whose addresses there may be resources for programs, too."""
