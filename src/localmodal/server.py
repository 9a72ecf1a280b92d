"""One localmodal: its two listeners (gRPC, and HTTP for large bytes) and all that stands behind them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine

import aiohttp.web
import grpclib.server
from aiohttp.typedefs import Handler
from grpclib.config import Configuration
from modal_proto.api_grpc import ModalClientBase
from modal_proto.task_command_router_grpc import TaskCommandRouterBase

from localmodal.engine.builds import Builder
from localmodal.engine.containers import Containers
from localmodal.engine.image_layers import ImageLayers
from localmodal.engine.images import BaseImages
from localmodal.engine.layers import Layers
from localmodal.engine.network import LOOPBACK, Network
from localmodal.engine.podman import Podman
from localmodal.engine.spawner import Spawner
from localmodal.engine.syncs import Syncs
from localmodal.engine.tunnel_delay import TunnelDelay
from localmodal.engine.watch import Watcher
from localmodal.home import Home
from localmodal.injection import Injection
from localmodal.rpc import Call, Gate, Router
from localmodal.services.apps.backend import AppsBackend
from localmodal.services.apps.rpc import AppsRpc
from localmodal.services.auth.backend import AuthBackend
from localmodal.services.auth.rpc import ROUTER, AuthRpc
from localmodal.services.blobs import http as blobs_http
from localmodal.services.blobs.backend import BlobsBackend
from localmodal.services.blobs.rpc import BlobsRpc
from localmodal.services.command_router.backend import CommandRouterBackend
from localmodal.services.command_router.rpc import CommandRouterRpc
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.environments.rpc import EnvironmentsRpc
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.images.rpc import ImagesRpc
from localmodal.services.links import Links
from localmodal.services.mounts.backend import MountsBackend
from localmodal.services.mounts.rpc import MountsRpc
from localmodal.services.sandboxes.backend import SandboxesBackend
from localmodal.services.sandboxes.lifecycle import Lifecycle
from localmodal.services.sandboxes.live import Engine
from localmodal.services.sandboxes.rpc import SandboxesRpc
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.services.secrets.backend import SecretsBackend
from localmodal.services.secrets.rpc import SecretsRpc
from localmodal.services.volumes import http as volumes_http
from localmodal.services.volumes.backend import VolumesBackend
from localmodal.services.volumes.rpc import VolumesRpc
from localmodal.store import Store

CONTROL_PLANE = (
    *(AuthRpc, EnvironmentsRpc, AppsRpc, SecretsRpc, BlobsRpc, MountsRpc, ImagesRpc, VolumesRpc, SandboxesRpc),
)
COMMAND_ROUTER = (CommandRouterRpc,)
_WINDOW_BYTES = 1 << 20
_GOODBYE_S = 1.0


class LocalModal:
    """The server of one home. Sandboxes outlive it; the next server of the same home takes them over."""

    def __init__(self, home: Home, *, port: int = 0) -> None:
        """`port` 0 takes any free one."""
        self._home = home
        self._port = port
        self._http_port = 0
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._sandboxes: SandboxesBackend | None = None

    @property
    def url(self) -> str:
        """What `MODAL_SERVER_URL` must be; known once it has started."""
        return f"http://{LOOPBACK}:{self._port}"

    def _http_url(self) -> str:
        return f"http://{LOOPBACK}:{self._http_port}"

    async def start(self) -> None:
        """Starts serving; returns once calls are answered. Raises `OSError` for a port in use."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        home = self._home
        home.make()
        store = Store(home.path / "state.sqlite")
        self._stops.append(_async(store.close))
        podman = Podman(home)
        network = Network(podman, home.tag)
        await network.start()
        self._stops.append(_async(network.release_all))
        spawner = Spawner()
        await spawner.start()
        self._stops.append(spawner.stop)
        watcher = Watcher()
        self._stops.append(_async(watcher.close))
        layers = Layers(home)
        containers = Containers(podman, home.folder("run"))
        image_layers = ImageLayers(home, podman)
        self._stops.append(image_layers.close)
        engine = Engine(containers, image_layers, layers, network, spawner, watcher)

        injection = Injection(home)
        delay = TunnelDelay(home.tag, network.holds_port)
        self._stops.append(delay.stop)
        self._stops.append(_background(injection.follow(watcher, delay)))
        auth = AuthBackend(home)
        links = Links(home, self._http_url)
        environments = EnvironmentsBackend(store)
        apps = AppsBackend(store, environments)
        secrets = SecretsBackend(store, home, environments)
        blobs = BlobsBackend(home)
        mounts = MountsBackend(store, home, blobs)
        volumes = VolumesBackend(*(store, home, environments, mounts, layers, Syncs(home.folder("mounts"), home.tag)))
        builder = Builder(podman, BaseImages(podman))
        images = ImagesBackend(store, podman, builder, secrets, mounts, layers)
        self._stops.append(images.stop)
        table = SandboxTable(store)
        images.disk.in_use = table.images
        await images.disk.sweep()
        lifecycle = Lifecycle(home, table, engine, images, mounts, volumes)
        sandboxes = self._sandboxes = SandboxesBackend(table, lifecycle, apps, images)
        await volumes.views.start({sandbox.id for sandbox in table.unfinished()})
        self._stops.append(volumes.views.stop)
        self._stops.append(sandboxes.stop)
        sandboxes.resume()
        images.disk.start()
        router = CommandRouterBackend(sandboxes, lifecycle, images, volumes)

        auth_rpc = AuthRpc(auth)
        control = Router(
            ModalClientBase,
            [
                auth_rpc,
                EnvironmentsRpc(environments),
                AppsRpc(apps, sandboxes.terminate_app),
                SecretsRpc(secrets),
                BlobsRpc(blobs, links),
                MountsRpc(mounts),
                ImagesRpc(images, environments),
                VolumesRpc(volumes, links),
                SandboxesRpc(
                    *(sandboxes, lifecycle, secrets, environments, lambda _task: (self.url, auth.sign(ROUTER))),
                    injection=injection,
                ),
            ],
            _both(auth_rpc.gate, injection.gate),
        )
        router_gate = _both(auth_rpc.router_gate, injection.gate)
        commands = Router(TaskCommandRouterBase, [CommandRouterRpc(router, secrets)], router_gate)
        routes = [*blobs_http.routes(blobs, links), *volumes_http.routes(volumes, links)]
        await self._listen_http(routes, injection)
        await self._listen_grpc([control, commands])

    async def _listen_http(self, routes: list[aiohttp.web.RouteDef], injection: Injection) -> None:
        @aiohttp.web.middleware
        async def delayed(request: aiohttp.web.Request, handler: Handler) -> aiohttp.web.StreamResponse:
            await injection.delay()
            return await handler(request)

        application = aiohttp.web.Application(client_max_size=0, middlewares=[delayed])
        application.add_routes(routes)
        runner = aiohttp.web.AppRunner(application, access_log=None)
        await runner.setup()
        self._stops.append(runner.cleanup)
        site = aiohttp.web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        self._http_port = runner.addresses[0][1]

    async def _listen_grpc(self, routers: list[Router]) -> None:
        config = Configuration(http2_connection_window_size=_WINDOW_BYTES, http2_stream_window_size=_WINDOW_BYTES)
        server = grpclib.server.Server(routers, config=config)
        # With the protocol named, asyncio turns Nagle's delay off; without, each reply waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self._port))
        self._port = listener.getsockname()[1]
        await server.start(sock=listener)

        async def close() -> None:
            server.close()
            # Long polls would keep it open until their clients give up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await server.wait_closed()

        self._stops.append(close)

    async def stop(self, *, end_sandboxes: bool = False) -> None:
        """Stops serving. Sandboxes go on unless `end_sandboxes`. A second call does nothing."""
        if end_sandboxes and self._sandboxes is not None:
            await self._sandboxes.end_all()
        self._sandboxes = None
        while self._stops:
            await self._stops.pop()()


def _both(first: Gate, second: Gate) -> Gate:
    async def gate(call: Call) -> None:
        await first(call)
        await second(call)

    return gate


def _background(work: Coroutine[None, None, None]) -> Callable[[], Awaitable[None]]:
    """Starts `work`; what ends it."""
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return stop


def _async(function: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        function()

    return call
