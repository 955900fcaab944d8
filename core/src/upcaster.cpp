#include "stele/upcaster.h"

#include <algorithm>
#include <set>

#include "stele/error.h"

namespace stele {
namespace {

std::string name_of(const EventForm& form) {
  return form.type + " version " + std::to_string(form.event_version);
}

[[noreturn]] void refuse(const EventForm& from, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "upcaster of " + name_of(from) + ": " + why);
}

void check_form(const EventForm& from, const EventForm& form) {
  if (form.type.empty()) refuse(from, "an event type must not be empty");
  if (form.event_version < 1) refuse(from, "event versions begin at 1");
}

[[noreturn]] void fail(const RecordedEvent& event, const std::string& why) {
  throw Error(ErrorCode::upcast_failed, "event " + event.event_id.to_string() + " at position " +
                                            std::to_string(event.position.value()) + ": the upcaster of " +
                                            name_of({event.type, event.event_version}) + " " + why);
}

}  // namespace

Upcasters& Upcasters::add(EventForm from, std::vector<EventForm> to, Upcaster upcaster) {
  check_form(from, from);
  if (!upcaster) refuse(from, "there is no function");
  if (find(from.type, from.event_version) != nullptr) refuse(from, "there is one already");
  for (const EventForm& form : to) {
    check_form(from, form);
    if (leads_to(form, from)) refuse(from, "its chain comes back to it by " + name_of(form));
  }
  steps_[std::move(from.type)].emplace(from.event_version, Step{std::move(to), std::move(upcaster)});
  return *this;
}

Upcasters& Upcasters::add(std::string type, std::int32_t from_version, std::function<Json(const RecordedEvent&)> data) {
  EventForm from{std::move(type), from_version};
  if (!data) refuse(from, "there is no function");
  EventForm to{from.type, from_version + 1};
  return add(std::move(from), {std::move(to)}, [data = std::move(data)](const RecordedEvent& event) {
    std::vector<RecordedEvent> next{event};
    next.front().data = data(event);
    ++next.front().event_version;
    return next;
  });
}

Upcasters& Upcasters::drop(EventForm from) {
  return add(std::move(from), {}, [](const RecordedEvent&) { return std::vector<RecordedEvent>(); });
}

const Upcasters::Step* Upcasters::find(std::string_view type, std::int32_t event_version) const noexcept {
  const auto versions = steps_.find(type);
  if (versions == steps_.end()) return nullptr;
  const auto step = versions->second.find(event_version);
  return step == versions->second.end() ? nullptr : &step->second;
}

// There is no way back in what was added before, so this ends.
bool Upcasters::leads_to(const EventForm& from, const EventForm& to) const {
  if (from == to) return true;
  const Step* step = find(from.type, from.event_version);
  return step != nullptr &&
         std::any_of(step->to.begin(), step->to.end(), [&](const EventForm& next) { return leads_to(next, to); });
}

bool Upcasters::concerns(const RecordedEvent& event) const noexcept {
  return find(event.type, event.event_version) != nullptr;
}

std::vector<RecordedEvent> Upcasters::apply(const RecordedEvent& event) const {
  std::vector<RecordedEvent> today;
  apply(event, today);
  return today;
}

void Upcasters::apply(const RecordedEvent& event, std::vector<RecordedEvent>& today) const {
  const Step* step = find(event.type, event.event_version);
  if (step == nullptr) {
    today.push_back(event);
    return;
  }
  std::vector<RecordedEvent> next;
  try {
    next = step->upcast(event);
  } catch (const std::exception& error) {
    fail(event, std::string("threw: ") + error.what());
  } catch (...) {
    fail(event, "threw something that is no std::exception");
  }
  for (RecordedEvent& made : next) {
    const EventForm form{made.type, made.event_version};
    if (std::find(step->to.begin(), step->to.end(), form) == step->to.end()) {
      fail(event, "returned " + name_of(form) + ", which it did not announce");
    }
    RecordedEvent kept = event;
    kept.type = std::move(made.type);
    kept.event_version = made.event_version;
    kept.data = std::move(made.data);
    kept.metadata = std::move(made.metadata);
    kept.policy_context = std::move(made.policy_context);
    kept.model_context = std::move(made.model_context);
    kept.display = std::move(made.display);
    apply(kept, today);
  }
}

std::vector<std::string> Upcasters::stored_types(const std::vector<std::string>& types) const {
  std::set<std::string> found(types.begin(), types.end());
  if (found.empty()) return {};
  for (bool more = true; more;) {
    more = false;
    for (const auto& [type, versions] : steps_) {
      if (found.contains(type)) continue;
      const bool leads = std::any_of(versions.begin(), versions.end(), [&](const auto& version) {
        const std::vector<EventForm>& to = version.second.to;
        return std::any_of(to.begin(), to.end(), [&](const EventForm& form) { return found.contains(form.type); });
      });
      if (leads) more = found.insert(type).second;
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace stele
