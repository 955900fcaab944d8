// Streams: their heads, and lists of them.
#pragma once

#include "session.h"
#include "stele/read.h"

namespace stele::sqlite {

/// All of these inside a transaction.
std::optional<std::int64_t> find_stream_no(Session& session, const StreamKey& key);
std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key);
std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options);
std::vector<std::string> list_tenants(Session& session);
StoreStats stats(Session& session);

}  // namespace stele::sqlite
