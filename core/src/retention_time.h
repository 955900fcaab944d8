// How long an event has to be kept.
#pragma once

#include <cstdint>

#include "stele/event.h"

namespace stele::detail {

/// Whether so many days have gone by since it was recorded.
inline bool is_past_keeping(const RecordedEvent& event, std::int32_t keep_days, Timestamp now) {
  constexpr std::int64_t micros_per_day = std::int64_t{86'400} * 1'000'000;
  const std::int64_t age = now.micros() - event.recorded_at.micros();
  return age >= 0 && age / micros_per_day >= keep_days;  // So that no number of days overflows.
}

}  // namespace stele::detail
