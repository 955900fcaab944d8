// Reading one stream, and one event.
#pragma once

#include <optional>
#include <string>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

/// The query for a page. Its parameters: the stream's id, the three bytes of its key, two versions; then as_of,
/// valid_at twice, and the limit.
std::string stream_query(Direction direction, bool as_of, bool valid_at);

void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page);
std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id);

}  // namespace stele::mssql
