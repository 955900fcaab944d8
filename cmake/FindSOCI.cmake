# Finds SOCI, also where it comes without a CMake configuration, as in Debian 12.
#
# Components: SQLite3, PostgreSQL, ODBC. Makes SOCI::Core and SOCI::<component>, the names that SOCI 4.1 uses.
# SOCI 4.0.3's headers include Boost's when it was built with Boost, so Boost's headers are looked for then.

find_package(SOCI QUIET CONFIG)
if(SOCI_FOUND AND TARGET SOCI::Core)
  return()
endif()

find_path(SOCI_INCLUDE_DIR soci/soci.h)
find_library(SOCI_CORE_LIBRARY NAMES soci_core)
mark_as_advanced(SOCI_INCLUDE_DIR SOCI_CORE_LIBRARY)

set(_soci_needs_boost FALSE)
if(SOCI_INCLUDE_DIR AND EXISTS "${SOCI_INCLUDE_DIR}/soci/soci-config.h")
  file(STRINGS "${SOCI_INCLUDE_DIR}/soci/soci-config.h" _soci_boost REGEX "^#define SOCI_HAVE_BOOST$")
  if(_soci_boost)
    set(_soci_needs_boost TRUE)
  endif()
endif()

set(_soci_required SOCI_CORE_LIBRARY SOCI_INCLUDE_DIR)
if(_soci_needs_boost)
  find_path(SOCI_BOOST_INCLUDE_DIR boost/version.hpp)
  mark_as_advanced(SOCI_BOOST_INCLUDE_DIR)
  list(APPEND _soci_required SOCI_BOOST_INCLUDE_DIR)
endif()

foreach(_component IN LISTS SOCI_FIND_COMPONENTS)
  string(TOLOWER "${_component}" _lower)
  find_library(SOCI_${_component}_LIBRARY NAMES soci_${_lower})
  mark_as_advanced(SOCI_${_component}_LIBRARY)
  if(SOCI_${_component}_LIBRARY)
    set(SOCI_${_component}_FOUND TRUE)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  SOCI
  REQUIRED_VARS ${_soci_required}
  HANDLE_COMPONENTS
  REASON_FAILURE_MESSAGE "On Debian: apt-get install libsoci-dev libboost-dev")

if(SOCI_FOUND AND NOT TARGET SOCI::Core)
  add_library(SOCI::Core UNKNOWN IMPORTED)
  set_target_properties(SOCI::Core PROPERTIES IMPORTED_LOCATION "${SOCI_CORE_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES
                                                                                       "${SOCI_INCLUDE_DIR}")
  if(_soci_needs_boost)
    set_property(
      TARGET SOCI::Core
      APPEND
      PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${SOCI_BOOST_INCLUDE_DIR}")
  endif()
  foreach(_component IN LISTS SOCI_FIND_COMPONENTS)
    if(SOCI_${_component}_FOUND)
      add_library(SOCI::${_component} UNKNOWN IMPORTED)
      set_target_properties(SOCI::${_component} PROPERTIES IMPORTED_LOCATION "${SOCI_${_component}_LIBRARY}"
                                                           INTERFACE_LINK_LIBRARIES SOCI::Core)
    endif()
  endforeach()
endif()
