// The events that every workload writes, for the store and for the floors alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stele/event.h"
#include "stele/types.h"

namespace stele::bench {

/// What an application has in hand before it appends: text and numbers, nothing that Stele has checked.
struct SampleEvent {
  std::string_view type;
  std::string_view data;  ///< About 250 bytes of JSON.
  std::string_view actor_id;
  std::string_view source;
  std::int64_t occurred_at;
  Uuid correlation_id;
};

/// An endless row of them: a handful of types and sources, payloads that differ, rising times.
class SampleEvents {
 public:
  SampleEvents();
  SampleEvent next();

 private:
  struct Body {
    std::string type;
    std::string data;
    std::string actor_id;
    std::string source;
  };
  std::vector<Body> bodies_;
  std::size_t count_ = 0;
};

inline constexpr std::string_view sample_stream_type = "order";
std::string sample_stream_id(std::size_t number);
StreamKey sample_stream(std::size_t number);

/// Checks the JSON, as every application has to do: part of what the store's figures measure.
NewEvent to_new_event(const SampleEvent& sample);

}  // namespace stele::bench
