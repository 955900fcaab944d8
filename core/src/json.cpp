#include "stele/json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "json_names.h"
#include "json_sax.h"

namespace stele {
namespace {

struct Validator {
  detail::JsonNames names;

  void open(bool object, std::size_t) { names.open(object); }
  void close(bool object, std::size_t) { names.close(object); }
  void name(std::string_view name, std::size_t end) { names.name(name, end); }
  void string(std::string_view, std::size_t) {}
  void number(std::string_view, std::size_t) {}
  void literal(std::string_view, std::size_t) {}
};

// nlohmann writes these as null or as something that is no JSON.
void refuse_unwritable(const nlohmann::json& root) {
  std::vector<const nlohmann::json*> left{&root};
  while (!left.empty()) {
    const nlohmann::json& value = *left.back();
    left.pop_back();
    if (value.is_number_float() && !std::isfinite(value.get<double>())) {
      throw Error(ErrorCode::invalid_argument, "JSON: a number is not finite");
    }
    if (value.is_binary() || value.is_discarded()) {
      throw Error(ErrorCode::invalid_argument, "JSON: a value is binary or discarded");
    }
    if (value.is_structured()) {
      for (const nlohmann::json& element : value) left.push_back(&element);
    }
  }
}

std::string dump(const nlohmann::json& value) {
  refuse_unwritable(value);
  try {
    return value.dump();
  } catch (const nlohmann::json::type_error&) {
    throw Error(ErrorCode::invalid_argument, "JSON: a string is not valid UTF-8");
  }
}

}  // namespace

Json::Json(std::string text) : text_(std::move(text)) {
  Validator validator;
  detail::scan_json(text_, validator);
}

Json::Json(const nlohmann::json& value) : Json(dump(value)) {}

Json Json::trusted(std::string text) noexcept {
  return {Unchecked{}, std::move(text)};
}

nlohmann::json Json::value() const {
  return nlohmann::json::parse(text_);
}

bool Json::is_object() const noexcept {
  const std::size_t first = text_.find_first_not_of(" \t\r\n");
  return first != std::string::npos && text_[first] == '{';
}

}  // namespace stele
