"""The keepers of this machine's volumes, as the gateway tells them of evidence locks.

Belongs here: which keeper has which volume. Does not: telling (vms.gateway.lock_distribution), obeying (vms.storage).
"""

from collections.abc import Sequence

from vms.app.places import Places
from vms.app.plans import worker_names
from vms.config import Config
from vms.gateway.lock_distribution import KeptVolume
from vms.storage.keeper_control import KeeperClient
from vms.storage.keeping import Keeping


def keeper_clients(config: Config, places: Places) -> Sequence[KeeperClient]:
    """Connections to the keepers of the configured volumes, in their order; made when they are first used."""
    return [KeeperClient(places.control(worker)) for worker in worker_names(config)["keeper"]]


def kept_volumes(config: Config, keepers: Sequence[Keeping]) -> Sequence[KeptVolume]:
    """The configured volumes with their keepers, which are in the same order."""
    return [
        KeptVolume(worker, str(volume.path), keeper)
        for worker, volume, keeper in zip(
            worker_names(config)["keeper"], config.volumes(), keepers, strict=True
        )
    ]
