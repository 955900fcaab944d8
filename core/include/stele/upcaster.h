// Upcasters: events of an old form, given to readers in today's form. What is stored never changes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stele/event.h"
#include "stele/export.h"

namespace stele {

/// An event's type and the version of its payload.
struct EventForm {
  std::string type;
  std::int32_t event_version = 1;
  friend auto operator<=>(const EventForm&, const EventForm&) = default;
};

/// Turns one event into one, several or none. Pure: the same input gives the same output, and nothing else is read. It
/// may change type, event_version, data, metadata and the contexts; every other field stays the event's whatever it
/// returns.
using Upcaster = std::function<std::vector<RecordedEvent>(const RecordedEvent&)>;

/// A chain of upcasters. Build it before the store is used; then any thread may use it.
class STELE_API Upcasters {
 public:
  /// From one form to others. What comes out must have one of the forms in `to`, and is upcast further if there is an
  /// upcaster for it. Throws invalid_argument for a second one with the same `from`, or when a chain would come back to
  /// a form it has passed.
  Upcasters& add(EventForm from, std::vector<EventForm> to, Upcaster upcaster);
  /// One to one: the payload of the next version.
  Upcasters& add(std::string type, std::int32_t from_version, std::function<Json(const RecordedEvent&)> data);

  /// One to none: nobody is given this any more.
  Upcasters& drop(EventForm from);

  /// The events that this one is today, in order. Throws upcast_failed, naming the event and the step, when an upcaster
  /// throws or returns a form that it did not announce.
  std::vector<RecordedEvent> apply(const RecordedEvent& event) const;
  bool concerns(const RecordedEvent& event) const noexcept;

  /// The types that have to be read to get every event that is of one of these types today. Empty stays empty: all.
  std::vector<std::string> stored_types(const std::vector<std::string>& types) const;

 private:
  struct Step {
    std::vector<EventForm> to;
    Upcaster upcast;
  };

  const Step* find(std::string_view type, std::int32_t event_version) const noexcept;
  bool leads_to(const EventForm& from, const EventForm& to) const;
  void apply(const RecordedEvent& event, std::vector<RecordedEvent>& today) const;

  std::map<std::string, std::map<std::int32_t, Step>, std::less<>> steps_;  // By type, then version.
};

}  // namespace stele
