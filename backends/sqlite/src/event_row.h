// Rows of `events` as RecordedEvents: the one place that knows the columns of a read.
#pragma once

#include <string_view>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// "e" is events, "s" streams, "c" commands (outer join).
inline constexpr std::string_view event_columns =
    "e.global_position, e.stream_version, e.event_id, e.event_type_no, e.event_version, e.occurred_at, e.recorded_at, "
    "e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source_no, e.channel, e.idempotency_key, e.causation_id, "
    "e.correlation_id, e.redaction_level, e.contains_secrets, e.attribute_count, e.data, e.metadata, e.policy_context, "
    "e.model_context, e.display, e.command_no, c.source_no, c.request_id, e.tenant_no, e.stream_type_no, s.stream_id ";

inline constexpr std::string_view event_joins =
    "JOIN streams AS s ON s.stream_no = e.stream_no LEFT JOIN commands AS c ON c.command_no = e.command_no ";

/// Fills a cleared event from the row that the statement stands on. Returns the bytes of its JSON.
std::size_t read_event_row(Session& session, const Statement& row, RecordedEvent& event);

/// Steps through the rows into the page until they end or the page is full. The statement asks for one row more than
/// limits.max_events, so that page.end is exact.
void fill_page(Session& session, Statement& rows, const driver::PageLimits& limits, driver::EventPage& page);

}  // namespace stele::sqlite
