#include "stele/driver/outcome.h"

#include <nlohmann/json.hpp>

#include "json_write.h"
#include "stele/error.h"

namespace stele::driver {

std::string outcome_to_json(const std::vector<StreamOutcome>& outcome) {
  std::string text = "[";
  for (const StreamOutcome& stream : outcome) {
    if (text.size() > 1) text += ',';
    detail::JsonObjectWriter object(text);
    object.text("type", stream.stream.type);
    object.text("id", stream.stream.id);
    object.integer("first_version", stream.first_version.value());
    object.integer("last_version", stream.last_version.value());
    object.integer("first_position", stream.first_position.value());
    object.integer("last_position", stream.last_position.value());
    object.end();
  }
  text += ']';
  return text;
}

std::vector<StreamOutcome> outcome_from_json(std::string_view text, std::string_view tenant) {
  // Nothing is converted: a field of another type is damage, not something to make the best of.
  const auto string = [](const nlohmann::json& object, const char* name) -> const std::string& {
    return object.at(name).get_ref<const std::string&>();
  };
  const auto integer = [](const nlohmann::json& object, const char* name) {
    const nlohmann::json& value = object.at(name);
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}))
      throw Error(ErrorCode::corrupt, "a command's recorded outcome has a bad number");
    return value.get<std::int64_t>();
  };
  try {
    const nlohmann::json array = nlohmann::json::parse(text);
    if (!array.is_array()) throw Error(ErrorCode::corrupt, "a command's recorded outcome is no array");
    std::vector<StreamOutcome> outcome;
    outcome.reserve(array.size());
    for (const nlohmann::json& object : array) {
      StreamOutcome& stream = outcome.emplace_back();
      stream.stream = StreamKey(std::string(tenant), string(object, "type"), string(object, "id"));
      stream.first_version = Version(integer(object, "first_version"));
      stream.last_version = Version(integer(object, "last_version"));
      stream.first_position = Position(integer(object, "first_position"));
      stream.last_position = Position(integer(object, "last_position"));
    }
    return outcome;
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::corrupt, "a command's recorded outcome cannot be read");
  }
}

}  // namespace stele::driver
