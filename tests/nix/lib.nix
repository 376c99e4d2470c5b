# A stand-in for the part of nixpkgs' `lib` that nix/module.nix uses, for where nixpkgs cannot be
# had: nix-instantiate and this file need no network and no store.
#
# What a test with it proves: what the module makes of its options, down to the byte; which of its
# types refuse what; which assertions fire. What it does not prove: that the module agrees with the
# real `lib`, with the real options of NixOS (nixos.nix names the few that it sets), or that the
# package builds. For the first, NODEDNS_NIXPKGS_LIB=PATH runs the same tests with the real `lib`,
# against the same golden files. The rest is proved by `nix flake check`, where there is nixpkgs.
#
# Only what is needed is here, and that as strict as the real one, or stricter.
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    mapAttrs
    match
    replaceStrings
    substring
    stringLength
    toJSON
    ;

  # Lists, sets, strings.
  optional = condition: value: if condition then [ value ] else [ ];
  optionalAttrs = condition: attrs: if condition then attrs else { };
  optionalString = condition: text: if condition then text else "";
  filterAttrs =
    predicate: attrs: removeAttrs attrs (filter (name: !predicate name attrs.${name}) (attrNames attrs));
  mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  isDerivation = value: isAttrs value && value.type or null == "derivation";
  getExe =
    package:
    if isDerivation package then
      "${package}/bin/${package.meta.mainProgram or (throw "getExe: the package has no meta.mainProgram")}"
    else
      throw "getExe: a package is needed";
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
  indexed = f: list: genList (i: f (i + 1) (elemAt list i)) (length list);
  isType = type: value: isAttrs value && value._type or null == type;

  # Options and definitions.
  mkOption = attrs: attrs // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };

  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };

  # A set with a condition around it, as a set with the condition around each value.
  pushDown =
    definition:
    if isType "if" definition then
      map (mapAttrs (_: mkIf definition.condition)) (pushDown definition.content)
    else
      [ definition ];

  # The values that are in force.
  discharge =
    definition:
    if isType "if" definition then
      if definition.condition then discharge definition.content else [ ]
    else
      [ definition ];

  show =
    location:
    concatStringsSep "." (
      map (part: if match "[A-Za-z_][A-Za-z0-9_'-]*" part == null then toJSON part else part) location
    );

  # One option out of its definitions.
  evalOption =
    location: option: definitions:
    let
      inForce = concatMap discharge definitions;
      values = if inForce == [ ] && option ? default then [ option.default ] else inForce;
    in
    if values == [ ] then
      throw "The option `${show location}' was accessed but has no value defined. Try setting the option."
    else
      evalValue location option.type values;

  evalValue =
    location: type: definitions:
    let
      values = concatMap discharge definitions;
    in
    if all type.check values then
      type.merge location values
    else
      throw "A definition for option `${show location}' is not of type `${type.description}'.";

  # A tree of options out of the sets that define them. What is no option goes by `freeform`.
  evalTree =
    location: freeform: options: definitions:
    let
      sets = concatMap pushDown definitions;
      named = name: concatMap (set: optional (set ? ${name}) set.${name}) sets;
      # A name that is only defined under conditions that do not hold is not there.
      unknown = filter (
        name: !(options ? ${name}) && (freeform == null || concatMap discharge (named name) != [ ])
      ) (unique (concatMap attrNames sets));
      free = listToAttrs (
        map (name: {
          inherit name;
          value = evalValue (location ++ [ name ]) freeform (named name);
        }) unknown
      );
      known = mapAttrs (
        name: option:
        let
          here = location ++ [ name ];
        in
        if isType "option" option then
          evalOption here option (named name)
        else
          evalTree here null option (named name)
      ) options;
    in
    if freeform == null && unknown != [ ] then
      throw "The option `${show (location ++ [ (head unknown) ])}' does not exist."
    else
      free // known;

  mergeOptions =
    left: right:
    left
    // mapAttrs (
      name: option:
      if !(left ? ${name}) then
        option
      else if isType "option" option || isType "option" left.${name} then
        throw "The option `${name}' is declared twice."
      else
        mergeOptions left.${name} option
    ) right;

  evalModules =
    {
      modules,
      specialArgs ? { },
    }:
    let
      arguments = specialArgs // {
        inherit config lib;
      };
      load =
        module:
        if isPath module || isString module then
          load (import module)
        else if isFunction module then
          load (module arguments)
        else if module ? options || module ? config then
          {
            options = module.options or { };
            config = module.config or { };
          }
        else
          {
            options = { };
            config = module;
          };
      loaded = map load modules;
      config = evalTree [ ] null (foldl' mergeOptions { } (map (module: module.options) loaded)) (
        map (module: module.config) loaded
      );
    in
    {
      inherit config;
    };

  # Types.
  equal =
    location: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${show location}' has conflicting definition values.";
  simple = description: check: {
    _type = "option-type";
    inherit description check;
    merge = equal;
  };
  types = {
    bool = simple "boolean" isBool;
    int = simple "signed integer" isInt;
    float = simple "floating point number" isFloat;
    str = simple "string" isString;
    unspecified = simple "unspecified value" (_: true);
    path = simple "absolute path" (
      value:
      (isString value || isPath value || value ? outPath) && substring 0 1 (toString value) == "/"
    );
    package = simple "package" isDerivation;
    enum =
      words: simple "one of ${concatStringsSep ", " (map toJSON words)}" (value: elem value words);
    strMatching =
      pattern:
      simple "string matching the pattern ${pattern}" (
        value: isString value && match pattern value != null
      );
    ints.between =
      lowest: highest:
      simple "integer between ${toString lowest} and ${toString highest} (both inclusive)" (
        value: isInt value && value >= lowest && value <= highest
      );
    addCheck = type: check: type // { check = value: type.check value && check value; };
    nullOr =
      type:
      simple "null or ${type.description}" (value: value == null || type.check value)
      // {
        merge =
          location: values:
          if any (value: value == null) values then equal location values else type.merge location values;
      };
    either =
      first: second:
      simple "${first.description} or ${second.description}" (
        value: first.check value || second.check value
      )
      // {
        merge =
          location: values:
          if all first.check values then
            first.merge location values
          else if all second.check values then
            second.merge location values
          else
            equal location values;
      };
    oneOf = choices: foldl' types.either (head choices) (builtins.tail choices);
    listOf =
      type:
      simple "list of ${type.description}" isList
      // {
        merge =
          location: values:
          builtins.concatLists (
            indexed (
              i: list:
              indexed (
                j: value:
                evalValue (location ++ [ "[definition ${toString i}-entry ${toString j}]" ]) type [ value ]
              ) list
            ) values
          );
      };
    attrsOf =
      type:
      simple "attribute set of ${type.description}" isAttrs
      // {
        merge = location: values: evalTree location type { } values;
      };
    submodule =
      module:
      simple "submodule" isAttrs
      // {
        merge = location: evalTree location (module.freeformType or null) module.options;
      };
  };

  lib = {
    inherit
      evalModules
      filterAttrs
      getExe
      hasPrefix
      isDerivation
      literalExpression
      literalMD
      mapAttrsToList
      mkEnableOption
      mkIf
      mkOption
      optional
      optionalAttrs
      optionalString
      types
      unique
      ;
  };
in
lib
