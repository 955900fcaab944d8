// Reading streams and single events.
#pragma once

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// All of these inside a read transaction.
void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page);
std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id);

/// The statement that read_stream() uses for these options; for the test of query plans.
std::string stream_query(Direction direction, bool as_of, bool valid_at);

}  // namespace stele::sqlite
