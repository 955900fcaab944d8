// Streams: their heads, and lists of them.
#pragma once

#include <map>

#include "session.h"
#include "stele/read.h"

namespace stele::sqlite {

/// All of these inside a transaction.
std::optional<std::int64_t> find_stream_no(Session& session, const StreamKey& key);
std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key);
std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options);
std::vector<std::string> list_tenants(Session& session);
StoreStats stats(Session& session);
/// The types of a tenant's streams, by name.
std::map<std::string, std::int64_t> stream_types(Session& session, std::int64_t tenant_no);

}  // namespace stele::sqlite
