// Reading one stream, and one event.
#pragma once

#include <optional>
#include <string>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::postgres {

/// The query for a page: $1 … $3 the stream's key, $4 and $5 versions; then as_of, valid_at, and the limit.
std::string stream_query(Direction direction, bool as_of, bool valid_at);

void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page);
std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id);

}  // namespace stele::postgres
