// Rows of `events` as RecordedEvents: the one place that knows the columns of a read.
#pragma once

#include <string_view>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

/// "e" is events, "s" something with a stream_id, "c" commands (outer join).
inline constexpr std::string_view event_columns =
    "e.global_position, e.stream_version, e.event_id, e.event_type, e.event_version, e.occurred_at, e.recorded_at, "
    "e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source, e.channel, e.idempotency_key, e.causation_id, "
    "e.correlation_id, e.redaction_level, e.contains_secrets, e.attribute_count, c.source, c.request_id, e.tenant_id, "
    "e.stream_type, s.stream_id, e.data, e.metadata, e.policy_context, e.model_context, e.display ";

inline constexpr std::string_view command_join = "LEFT JOIN $(schema).commands AS c ON c.command_id = e.command_id ";
inline constexpr std::string_view stream_join = "JOIN $(schema).streams AS s ON s.stream_no = e.stream_no ";

/// The end of a page's query; its ? is the last parameter.
inline constexpr std::string_view page_limit = " OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY";

/// Fills the page from a statement that ends with page_limit, whose parameter is still to be added.
void fill_page(Session& session, std::string_view sql, Parameters parameters, const driver::PageLimits& limits,
               driver::EventPage& page);

}  // namespace stele::mssql
