# What every target of the project has in common: the language, the warnings, hidden symbols.

add_library(stele_options INTERFACE)
target_compile_features(stele_options INTERFACE cxx_std_20)
target_compile_options(
  stele_options
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wshadow
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            $<$<BOOL:${STELE_WERROR}>:-Werror>)

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# stele_library(NAME SOURCES … PUBLIC_INCLUDE DIR) makes the library stele_NAME, known as stele::NAME, with its public headers
# in DIR, installed and exported.
function(stele_library name)
  cmake_parse_arguments(ARG "" "PUBLIC_INCLUDE" "SOURCES" ${ARGN})
  add_library(stele_${name} ${ARG_SOURCES})
  add_library(stele::${name} ALIAS stele_${name})
  set_target_properties(
    stele_${name}
    PROPERTIES EXPORT_NAME ${name}
               UNITY_BUILD "${STELE_UNITY_LIBRARIES}"
               UNITY_BUILD_BATCH_SIZE 6
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR})
  target_link_libraries(stele_${name} PRIVATE $<BUILD_INTERFACE:stele_options>)
  target_compile_features(stele_${name} PUBLIC cxx_std_20)
  target_include_directories(stele_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/${ARG_PUBLIC_INCLUDE}>
                                                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(
    TARGETS stele_${name}
    EXPORT steleTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(
    DIRECTORY ${ARG_PUBLIC_INCLUDE}/
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING
    PATTERN "*.h")
endfunction()
