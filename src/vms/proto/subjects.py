"""The subjects that messages travel on: ``vms.<site>.…``. Tokens are slugs, so no subject can be forged by a name."""

SITE = "default"

CAMERAS = "cameras"
"""Key-value bucket: a CameraSpec under each camera's id, a RegistryComplete under COMPLETE."""
COMPLETE = "_complete"
"""A key that no camera's id can be."""


def worker_status(worker: str, site: str = SITE) -> str:
    """Where a worker publishes its WorkerStatus; ``*`` for all."""
    return f"vms.{site}.worker.{worker}"


def media_apply(worker: str, site: str = SITE) -> str:
    """Request: a CameraSpec to a media process; answered with Applied when it is in effect."""
    return f"vms.{site}.media.{worker}.apply"


def stream_offer(worker: str, site: str = SITE) -> str:
    """Request: live.Offer → live.Answer."""
    return f"vms.{site}.stream.{worker}.offer"


def stream_session(worker: str, verb: str, site: str = SITE) -> str:
    """Request: live.SessionId → live.Session (get), live.Empty (end); live.Restart → live.Restarted (restart)."""
    return f"vms.{site}.stream.{worker}.session.{verb}"


def publisher(worker: str, verb: str, site: str = SITE) -> str:
    """Request to a media process: live.PublishOffer → live.Answer (offer); get, end, restart as `stream_session`."""
    return f"vms.{site}.media.{worker}.publish.{verb}"


def registry(verb: str, site: str = SITE) -> str:
    """Request to the registry: create, update, delete (CreateCamera, …); answered with a CameraSpec."""
    return f"vms.{site}.gateway.camera.{verb}"


def lock(verb: str, site: str = SITE) -> str:
    """Request to the gateway about evidence locks: create, release, get (→ LockReport), list (→ LockPage)."""
    return f"vms.{site}.gateway.lock.{verb}"


def bookmark(verb: str, site: str = SITE) -> str:
    """Request to the gateway: create, change, get (→ Bookmark), delete (→ Empty), list (→ BookmarkPage)."""
    return f"vms.{site}.gateway.bookmark.{verb}"


def event(kind: str, camera_id: str, site: str = SITE) -> str:
    """Where an event is stored; `camera_id` "" for one that is no camera's."""
    return f"vms.{site}.event.{kind}.{camera_id or '_'}"
