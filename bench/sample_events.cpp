#include "sample_events.h"

#include <array>
#include <cstdio>

namespace stele::bench {
namespace {

constexpr std::array<std::string_view, 8> types{"OrderPlaced",  "OrderPaid",    "ItemAdded",      "ItemRemoved",
                                                "OrderShipped", "NoteAttached", "AddressChanged", "OrderClosed"};
constexpr std::array<std::string_view, 3> sources{"webshop", "backoffice", "partner-api"};
constexpr std::size_t body_count = 1'000;
constexpr std::int64_t first_occurred_at = 1'780'000'000'000'000;

std::string printed(const char* format, std::size_t number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

std::string sample_data(std::size_t i) {
  return R"({"order_no":"SO-)" + printed("%07zu", i * 7919 % 10'000'000) + R"(","customer":{"id":)" +
         std::to_string(i * 31 % 100'000) +
         R"(,"name":"Zo\u00eb van der Meer","city":"’s-Hertogenbosch"},"lines":[{"sku":"A-)" +
         printed("%04zu", i % 10'000) + R"(","quantity":)" + std::to_string(1 + i % 9) +
         R"(,"unit_price":12.50},{"sku":"B-77","quantity":1,"unit_price":199.95}],"total":)" +
         std::to_string(212 + i % 100) + R"(.45,"currency":"EUR","express":)" + (i % 2 == 0 ? "true" : "false") + "}";
}

}  // namespace

SampleEvents::SampleEvents() {
  bodies_.reserve(body_count);
  for (std::size_t i = 0; i < body_count; ++i) {
    bodies_.push_back({std::string(types[i % types.size()]), sample_data(i), printed("employee-%03zu", i % 200),
                       std::string(sources[i % sources.size()])});
  }
}

SampleEvent SampleEvents::next() {
  const Body& body = bodies_[count_ % bodies_.size()];
  const auto number = static_cast<std::int64_t>(count_++);
  return {body.type, body.data, body.actor_id, body.source, first_occurred_at + number * 1'000, Uuid::v7()};
}

std::string sample_stream_id(std::size_t number) {
  return printed("order-%09zu", number);
}

StreamKey sample_stream(std::size_t number) {
  return {std::string(sample_stream_type), sample_stream_id(number)};
}

NewEvent to_new_event(const SampleEvent& sample) {
  NewEvent event;
  event.type = sample.type;
  event.data = Json(std::string(sample.data));
  event.actor = Actor{ActorType::user, std::string(sample.actor_id)};
  event.source = sample.source;
  event.channel = Channel::api;
  event.correlation_id = sample.correlation_id;
  event.occurred_at = Timestamp::from_micros(sample.occurred_at);
  return event;
}

}  // namespace stele::bench
