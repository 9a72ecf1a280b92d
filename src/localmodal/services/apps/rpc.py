"""App RPCs, as far as sandboxes need an app."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.apps.backend import App, AppsBackend
from localmodal.services.names import Creation


class AppsRpc:
    """Serves ``App*``."""

    def __init__(self, backend: AppsBackend, end_sandboxes: Callable[[str], None]) -> None:
        """`end_sandboxes` ends those of an app, which stop with it."""
        self._backend = backend
        self._end_sandboxes = end_sandboxes

    async def AppGetOrCreate(
        self, request: api_pb2.AppGetOrCreateRequest, call: Call
    ) -> api_pb2.AppGetOrCreateResponse:
        creation = Creation(request.object_creation_type)
        app = self._backend.get_or_create(request.environment_name, request.app_name, creation)
        return api_pb2.AppGetOrCreateResponse(app_id=app.id, handle_metadata=_metadata(app))

    async def AppCreate(self, request: api_pb2.AppCreateRequest, call: Call) -> api_pb2.AppCreateResponse:
        state = api_pb2.AppState.Name(request.app_state or api_pb2.APP_STATE_INITIALIZING)
        app = self._backend.create(
            request.environment_name, name="", description=request.description, state=state, tags=request.tags
        )
        return api_pb2.AppCreateResponse(app_id=app.id, app_page_url="", app_logs_url="")

    async def AppPublish(self, request: api_pb2.AppPublishRequest, call: Call) -> api_pb2.AppPublishResponse:
        state = api_pb2.AppState.Name(request.app_state) if request.app_state else ""
        self._backend.publish(request.app_id, request.name, state)
        return api_pb2.AppPublishResponse()

    async def AppGetLayout(self, request: api_pb2.AppGetLayoutRequest, call: Call) -> api_pb2.AppGetLayoutResponse:
        self._backend.get(request.app_id)
        return api_pb2.AppGetLayoutResponse(app_layout=api_pb2.AppLayout())

    async def AppGetByDeploymentName(
        self, request: api_pb2.AppGetByDeploymentNameRequest, call: Call
    ) -> api_pb2.AppGetByDeploymentNameResponse:
        apps = [app for app in self._backend.list(request.environment_name) if app.name == request.name]
        current = next((app for app in apps if not app.stopped_at), None)
        return api_pb2.AppGetByDeploymentNameResponse(app_id=current.id if current else "")

    async def AppHeartbeat(self, request: api_pb2.AppHeartbeatRequest, call: Call) -> Empty:
        self._backend.get(request.app_id)
        return Empty()

    async def AppClientDisconnect(self, request: api_pb2.AppClientDisconnectRequest, call: Call) -> Empty:
        self._backend.stop(request.app_id)
        self._end_sandboxes(request.app_id)
        return Empty()

    async def AppStop(self, request: api_pb2.AppStopRequest, call: Call) -> Empty:
        self._backend.stop(request.app_id)
        self._end_sandboxes(request.app_id)
        return Empty()

    async def AppList(self, request: api_pb2.AppListRequest, call: Call) -> api_pb2.AppListResponse:
        apps = [
            api_pb2.AppListResponse.AppListItem(
                app_id=app.id,
                name=app.name,
                description=app.description,
                state=api_pb2.AppState.Value(app.state),
                created_at=app.created_at,
                stopped_at=app.stopped_at,
                metadata=_metadata(app),
            )
            for app in self._backend.list(request.environment_name)
        ]
        return api_pb2.AppListResponse(apps=apps)

    async def AppGetInfo(self, request: api_pb2.AppGetInfoRequest, call: Call) -> api_pb2.AppGetInfoResponse:
        return api_pb2.AppGetInfoResponse(info=_metadata(self._backend.get(request.app_id)))

    async def AppGetTags(self, request: api_pb2.AppGetTagsRequest, call: Call) -> api_pb2.AppGetTagsResponse:
        return api_pb2.AppGetTagsResponse(tags=self._backend.get(request.app_id).tags)

    async def AppSetTags(self, request: api_pb2.AppSetTagsRequest, call: Call) -> Empty:
        self._backend.set_tags(request.app_id, request.tags)
        return Empty()


def _metadata(app: App) -> api_pb2.AppHandleMetadata:
    return api_pb2.AppHandleMetadata(
        app_id=app.id, description=app.name or app.description, environment_name=app.environment
    )
