// Rows of `events` as RecordedEvents: the one place that knows the columns of a read.
#pragma once

#include <string_view>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::postgres {

/// "e" is events, "s" streams, "c" commands (outer join).
inline constexpr std::string_view event_columns =
    "e.global_position, e.stream_version, e.event_id, e.event_type, e.event_version, e.occurred_at, e.recorded_at, "
    "e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source, e.channel, e.idempotency_key, e.causation_id, "
    "e.correlation_id, e.redaction_level, e.contains_secrets, e.data, e.metadata, e.policy_context, e.model_context, "
    "e.display, c.source, c.request_id, e.tenant_id, e.stream_type, s.stream_id, "
    "CASE WHEN e.attribute_count > 0 THEN (SELECT array_agg(ARRAY[a.name, a.value]) FROM event_attributes AS a "
    "WHERE a.global_position = e.global_position) END ";

inline constexpr std::string_view event_joins =
    "JOIN streams AS s ON s.stream_no = e.stream_no LEFT JOIN commands AS c ON c.command_no = e.command_no ";

/// Fills a cleared event from a row. Returns the bytes of its JSON.
std::size_t read_event_row(const Result& rows, int row, RecordedEvent& event);

/// Fills the page from a statement whose last parameter, which is still to be added, is its LIMIT.
void fill_page(Session& session, std::string_view sql, Parameters parameters, const driver::PageLimits& limits,
               driver::EventPage& page, Session::Planning planning = Session::Planning::once);

}  // namespace stele::postgres
