// Streams: their heads, and lists of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "session.h"
#include "stele/read.h"

namespace stele::mssql {

std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key);
std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options);
std::vector<std::string> list_tenants(Session& session);
StoreStats stats(Session& session);

}  // namespace stele::mssql
